"""Pages of a list: which revision, from where, and the token that leads on. Pure."""

import base64
import binascii
import json
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from pilothouse.services.apiserver.requests import ReadOptions
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import BadRequest, Cause, Expired, Invalid, Subject

TOKEN_VERSION = "meta.k8s.io/v1"  # noqa: S105 - a name of a format, no secret
REVISION_DIGITS_MAX = 19
NEWEST = -1
"""The revision of a token that goes on in whatever is newest."""
_MATCHES = ("Exact", "NotOlderThan", "")
_EXPIRED = "The resourceVersion for the provided list is too old."
_INCONSISTENT = (
    "The provided continue parameter is too old to display a consistent list result. You can start "
    "a new list without the continue parameter, or use the continue token in this response to "
    "retrieve the remainder of the results. Continuing with the provided token results in an "
    "inconsistent list - objects that were created, modified, or deleted between the time the "
    "first chunk was returned and now may show up in the list."
)
_NO_TOKEN = "continue key is not valid"  # noqa: S105 - an error's text, no secret


class _Token(msgspec.Struct, frozen=True, kw_only=True):
    version: str = msgspec.field(name="v", default="")
    revision: int = msgspec.field(name="rv", default=0)
    start: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """``revision`` None is the newest that anybody can know of, 0 whatever is here.

    ``exact`` asks for that very state. ``start`` is the first place wanted, below the listing's
    own namespace; ``limit`` 0 is no limit.
    """

    revision: int | None = None
    exact: bool = False
    start: str = ""
    limit: int = 0


def parse_page(options: ReadOptions) -> Page:
    """What a list asks for.

    Raises:
        BadRequest: a revision or token that can not be read.
        Invalid: options that contradict each other.
    """
    _refuse(_list_causes(options))
    if options.continue_token:
        return _continued(options)
    if not options.resource_version:
        return Page(limit=options.limit)
    revision = parse_revision(options.resource_version, "invalid resource version: ")
    if not revision:
        # As the real server has it: whatever is here is given whole.
        return Page(0)
    match = options.resource_version_match
    # And a limited list at a revision is of that very state.
    exact = match == "Exact" or bool(options.limit > 0 and not match)
    return Page(revision, exact, limit=options.limit)


def parse_revision(text: str, prefix: str = "") -> int:
    """A resourceVersion as a number, 0 when it is empty; BadRequest when it is none."""
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()):
        parsing = f"strconv.ParseUint: parsing {json.dumps(text)}: invalid syntax"
        told = f"resourceVersion: Invalid value: {json.dumps(text)}: {parsing}"
        raise BadRequest(prefix + told)
    if len(text.lstrip("0")) > REVISION_DIGITS_MAX:
        parsing = f"strconv.ParseUint: parsing {json.dumps(text)}: value out of range"
        told = f"resourceVersion: Invalid value: {json.dumps(text)}: {parsing}"
        raise BadRequest(prefix + told)
    return int(text)


def token(revision: int, start: str) -> str:
    """Leads to what stands at ``start`` and after it in the state of ``revision``."""
    raw = msgspec.json.encode(_Token(version=TOKEN_VERSION, revision=revision, start=start))
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def expired(page: Page) -> Expired:
    """The refusal of a page whose state is forgotten, with a token that leads on regardless."""
    if not page.start:
        return Expired(_EXPIRED)
    refusal = Expired(_INCONSISTENT)
    refusal.continue_token = token(NEWEST, page.start)
    return refusal


def _continued(options: ReadOptions) -> Page:
    text = options.continue_token
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        read = msgspec.json.decode(raw, type=_Token)
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        raise _bad(f"{_NO_TOKEN}: {error}") from None
    if read.version != TOKEN_VERSION:
        unknown = "server does not recognize this encoded version"
        raise _bad(f"{_NO_TOKEN}: {unknown} {read.version}")
    if not read.revision:
        raise _bad(f"{_NO_TOKEN}: incorrect encoded start resourceVersion (version meta.k8s.io/v1)")
    if not read.start:
        raise _bad(f"{_NO_TOKEN}: encoded start key empty (version meta.k8s.io/v1)")
    place = "/" + read.start.removeprefix("/")
    if posixpath.normpath(place) != place:
        raise _bad(f"{_NO_TOKEN}: {read.start}")
    if options.resource_version not in {"", "0"}:
        raise BadRequest("specifying resource version is not allowed when using continue")
    if read.revision < 0:
        return Page(start=place[1:], limit=options.limit)
    return Page(read.revision, exact=True, start=place[1:], limit=options.limit)


def _bad(why: str) -> BadRequest:
    return BadRequest(f"invalid continue token: {why}")


def _list_causes(options: ReadOptions) -> list[Cause]:
    match, causes = options.resource_version_match, []
    if match:
        if not options.resource_version:
            causes.append(_forbidden_match("is forbidden unless resourceVersion is provided"))
        if options.continue_token:
            causes.append(_forbidden_match("is forbidden when continue is provided"))
        if match not in _MATCHES:
            causes.append(names.unsupported("resourceVersionMatch", match, _MATCHES))
        if match == "Exact" and options.resource_version == "0":
            causes.append(_forbidden_match('"exact" is forbidden for resourceVersion "0"'))
    if options.send_initial_events is not None:
        told = "sendInitialEvents is forbidden for list"
        causes.append(names.forbidden("sendInitialEvents", told))
    return causes


def check_watch(options: ReadOptions) -> None:
    """What the options of a watch demand of each other.

    Raises:
        Invalid: as the real server does.
    """
    match, causes = options.resource_version_match, []
    if options.send_initial_events is not None and match != "NotOlderThan":
        told = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        causes.append(names.forbidden("resourceVersionMatch", told))
    if match:
        if options.send_initial_events is None:
            causes.append(
                _forbidden_match("is forbidden for watch unless sendInitialEvents is provided")
            )
        if match != "NotOlderThan":
            causes.append(names.unsupported("resourceVersionMatch", match, ("NotOlderThan",)))
        if options.continue_token:
            causes.append(_forbidden_match("is forbidden when continue is provided"))
    _refuse(causes)


def _forbidden_match(why: str) -> Cause:
    return names.forbidden("resourceVersionMatch", f"resourceVersionMatch {why}")


def _refuse(causes: Sequence[Cause]) -> None:
    if not causes:
        return
    told = [f"{cause.field}: {cause.message}" for cause in causes]
    shown = told[0] if len(told) == 1 else f"[{', '.join(told)}]"
    raise Invalid(
        f'ListOptions.meta.k8s.io "" is invalid: {shown}',
        subject=Subject(group="meta.k8s.io", kind="ListOptions"),
        causes=causes,
    )
