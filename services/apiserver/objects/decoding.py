"""A body as a document of its kind: right types, known fields, its own kind."""

from collections.abc import Sequence
from typing import Any

from pilothouse.services.apiserver.kinds.kind import Kind
from pilothouse.services.apiserver.objects import conversion, refusals
from pilothouse.services.apiserver.requests import FieldValidation
from pilothouse.services.apiserver.strategies import every
from pilothouse.services.machinery.errors import BadRequest
from pilothouse.services.machinery.schema.report import Report, Unreadable
from pilothouse.services.machinery.schema.walker import Walkers

Document = dict[str, Any]
# A small body must not make a large answer.
UNKNOWN_TOLD_MAX = 100


class Unfit(BadRequest):
    """The body can not be read as one of its kind, for what ``why`` says."""

    def __init__(self, kind: Kind, why: str) -> None:
        super().__init__(
            f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {why}'
        )
        self.why = why


def decode(walkers: Walkers, kind: Kind, body: Any, validation: FieldValidation) -> tuple[str, ...]:
    """Walk ``body`` in place; the warnings to give.

    Required fields that nobody gave are then there, as empty as Go has them: the rules of the
    kind say what is wrong with that.

    Raises:
        BadRequest: not an object of this kind, wrong types, or unknown fields under Strict.
        Invalid: required fields are missing, of a kind that has no rules of its own.
    """
    if not isinstance(body, dict):
        raise BadRequest(f"the body is not an object of kind {kind.kind}")
    _own_kind(kind, body)
    if kind.custom is not None:
        return _told(kind, kind.custom.treatment.settle(body), validation)
    report = Report()
    try:
        walkers.of_kind(kind.definition)(body, None, report, "")
    except Unreadable as error:
        raise Unfit(kind, str(error)) from None
    warnings = _told(kind, report.unknown, validation)
    if report.missing and not every.judges(kind):
        named = body.get("metadata") or {}
        name = named.get("name") or named.get("generateName") or ""
        raise refusals.invalid(kind, name, report.missing)
    return warnings


def to_stored(walkers: Walkers, kind: Kind, stored: Kind, body: Document) -> Document:
    """A body of ``kind`` in the shape that rests, where types are right again.

    Raises:
        BadRequest: what annotations of it carry is of other types.
    """
    made = conversion.to_stored(kind, stored, body)
    if kind.custom is None:
        decode(walkers, stored, made, "Ignore")
    return made


def _told(kind: Kind, unknown: Sequence[str], validation: FieldValidation) -> tuple[str, ...]:
    """The warnings about unknown fields; BadRequest under Strict."""
    if not unknown or validation == "Ignore":
        return ()
    told = [f'unknown field "{path}"' for path in unknown[:UNKNOWN_TOLD_MAX]]
    if validation == "Strict":
        raise Unfit(kind, f"strict decoding error: {', '.join(told)}")
    return tuple(told)


def _own_kind(kind: Kind, body: Document) -> None:
    version = body.get("apiVersion") or kind.api_version
    name = body.get("kind") or kind.kind
    if version != kind.api_version:
        raise BadRequest(
            f"the API version in the data ({version}) does not match the expected API version "
            f"({kind.api_version})"
        )
    if name != kind.kind:
        raise BadRequest(
            f'{name} in version "{kind.version}" cannot be handled as a {kind.kind}: '
            f"the data is of kind {name}"
        )
    body["apiVersion"], body["kind"] = version, name
