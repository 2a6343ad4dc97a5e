"""Pages of a list: which revision, from where, and the token that leads on."""

import base64
import binascii
from dataclasses import dataclass

import msgspec

from pilothouse.services.apiserver.requests import ReadOptions
from pilothouse.services.machinery.errors import BadRequest, Cause, Invalid
from pilothouse.services.machinery.objects import Key

_MATCHES = ("Exact", "NotOlderThan")


class _Token(msgspec.Struct, frozen=True, rename={"revision": "rv"}):
    revision: int
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Page:
    """``revision`` None is the newest; ``exact`` asks for that very state. ``after`` is the last
    object of the page before.
    """

    revision: int | None = None
    exact: bool = False
    after: Key | None = None


def parse_page(options: ReadOptions) -> Page:
    """What a list asks for.

    Raises:
        BadRequest: a revision or token that can not be read.
        Invalid: options that contradict each other.
    """
    match = options.resource_version_match
    if match and match not in _MATCHES:
        raise _refuse("resourceVersionMatch", f'Unsupported value: "{match}"')
    if options.continue_token:
        if match:
            raise _refuse(
                "resourceVersionMatch",
                "Forbidden: resourceVersionMatch is forbidden when continue is provided",
            )
        return _continued(options)
    if match and not options.resource_version:
        raise _refuse(
            "resourceVersionMatch",
            "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided",
        )
    revision = parse_revision(options.resource_version)
    if match == "Exact" and not revision:
        raise _refuse(
            "resourceVersionMatch",
            'Forbidden: resourceVersionMatch "Exact" is forbidden for resourceVersion "0"',
        )
    # As the real server has it: a limited list at a revision is of that very state.
    exact = match == "Exact" or bool(revision and options.limit and not match)
    return Page(revision=revision or None, exact=exact)


def parse_revision(text: str) -> int:
    """A resourceVersion as a number, 0 when it is empty; BadRequest when it is none."""
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()):
        raise BadRequest(f'resourceVersion: Invalid value: "{text}": is not a resource version')
    return int(text)


def token(revision: int, last: Key) -> str:
    """Leads to what comes after ``last`` in the state of ``revision``."""
    raw = msgspec.json.encode(_Token(revision, last.namespace, last.name))
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _continued(options: ReadOptions) -> Page:
    if options.resource_version not in {"", "0"}:
        raise BadRequest("specifying resource version is not allowed when using continue")
    text = options.continue_token
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        read = msgspec.json.decode(raw, type=_Token)
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        raise BadRequest("continue key is not valid") from None
    return Page(revision=read.revision, exact=True, after=Key(read.namespace, read.name))


def _refuse(field: str, message: str) -> Invalid:
    cause = Cause(field, message, "FieldValueForbidden")
    return Invalid(f'ListOptions.meta.k8s.io "" is invalid: {field}: {message}', causes=[cause])


def check_initial(options: ReadOptions) -> None:
    """What ``sendInitialEvents`` demands of the rest.

    Raises:
        Invalid: as the real server does.
    """
    match = options.resource_version_match
    if options.send_initial_events and match != "NotOlderThan":
        raise _refuse(
            "resourceVersionMatch",
            "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        )
    if match and not options.send_initial_events:
        raise _refuse(
            "resourceVersionMatch",
            "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is "
            "provided",
        )
