"""The refusals of the request path, in the real server's sentences."""

import json
from collections.abc import Sequence
from typing import Any

from pilothouse.services.apiserver.kinds.kind import Kind
from pilothouse.services.machinery.errors import (
    AlreadyExists,
    Cause,
    Conflict,
    Forbidden,
    Invalid,
    MethodNotAllowed,
    NotFound,
    Subject,
    UnsupportedMediaType,
)

# A small body must not make a large answer.
CAUSES_TOLD_MAX = 500
_PATCH_SHOWN_MAX = 4096


def not_found(kind: Kind, name: str) -> NotFound:
    return NotFound(f'{kind.qualified} "{name}" not found', subject=kind.subject(name))


def already_exists(kind: Kind, name: str) -> AlreadyExists:
    return AlreadyExists(f'{kind.qualified} "{name}" already exists', subject=kind.subject(name))


def no_unique_name(kind: Kind, name: str) -> AlreadyExists:
    """Whatever name was made up, it was taken."""
    return AlreadyExists(
        f'{kind.qualified} "{name}" already exists, the server was not able to generate a unique '
        "name for the object",
        subject=kind.subject(name),
        retry_after_seconds=1,
    )


def invalid(kind: Kind, name: str, causes: Sequence[Cause]) -> Invalid:
    """All causes in one sentence and one by one; of very many, the first."""
    causes = causes[:CAUSES_TOLD_MAX]
    told = [f"{cause.field}: {cause.message}" for cause in causes]
    shown = told[0] if len(told) == 1 else f"[{', '.join(told)}]"
    title = f"{kind.kind}.{kind.group}" if kind.group else kind.kind
    subject = Subject(group=kind.group, kind=kind.kind, name=name)
    return Invalid(f'{title} "{name}" is invalid: {shown}', subject=subject, causes=causes)


def conflict(kind: Kind, name: str, why: str) -> Conflict:
    return Conflict(
        f'Operation cannot be fulfilled on {kind.qualified} "{name}": {why}',
        subject=kind.subject(name),
    )


def changed(kind: Kind, name: str) -> Conflict:
    """Somebody else wrote in between."""
    return conflict(
        kind,
        name,
        "the object has been modified; please apply your changes to the latest version "
        "and try again",
    )


def unconditional(kind: Kind, name: str) -> Invalid:
    """An update that does not say what it was made from, of a kind where it must."""
    message = "Invalid value: 0: must be specified for an update"
    cause = Cause("metadata.resourceVersion", message)
    subject = Subject(group=kind.group, kind=kind.plural, name=name)
    title = f'{kind.qualified} "{name}" is invalid'
    return Invalid(f"{title}: {cause.field}: {message}", subject=subject, causes=[cause])


def invalid_patch(content: Any, why: str) -> Invalid:
    """What a patch makes is no object of its kind, or not strictly one."""
    shown = json.dumps(content, separators=(",", ":"))[:_PATCH_SHOWN_MAX]
    message = f"Invalid value: {json.dumps(shown)}: {why}"
    return Invalid(f' "" is invalid: patch: {message}', causes=[Cause("patch", message)])


def unknown_patch() -> UnsupportedMediaType:
    """A custom object has no keys to merge its lists by."""
    types = (
        "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
    )
    return UnsupportedMediaType(
        f"the body of the request was in an unknown format - accepted media types include: {types}"
    )


def forbidden(kind: Kind, name: str, why: str) -> Forbidden:
    return Forbidden(f'{kind.qualified} "{name}" is forbidden: {why}', subject=kind.subject(name))


def not_allowed(kind: Kind, verb: str, subresource: str = "") -> MethodNotAllowed:
    """The kind, or its subresource, does not know the verb."""
    what = f"{kind.qualified}/{subresource}" if subresource else kind.qualified
    return MethodNotAllowed(f"{verb} is not supported on resources of kind {what!r}")
