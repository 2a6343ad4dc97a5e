"""What a walk over an object finds, and where."""

from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pilothouse.services.machinery.errors import Cause

Path: TypeAlias = tuple[Any, str | int] | None
"""A place in an object, linked towards the root, so that a walk builds no text."""


def render(path: Path, *more: str) -> str:
    """``spec.containers[0].name``, as Kubernetes writes the path of a field."""
    parts: list[str | int] = list(reversed(more))
    while path is not None:
        path, part = path[0], path[1]
        parts.append(part)
    text = ""
    for part in reversed(parts):
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def names(path: Path) -> str:
    """The same without indexes, as Go's JSON decoder writes it."""
    parts: list[str] = []
    while path is not None:
        path, part = path[0], path[1]
        if isinstance(part, str):
            parts.append(part)
    return ".".join(reversed(parts))


class Unreadable(Exception):
    """A value is of another type than its field; the message is that of the real server."""


@dataclass(slots=True)
class Report:
    """What was passed over or is missing; paths as :func:`render` writes them."""

    unknown: list[str] = field(default_factory=list)
    missing: list[Cause] = field(default_factory=list)

    def require(self, path: Path, name: str) -> None:
        """Note that this field under ``path`` must be there."""
        self.missing.append(Cause(render(path, name), "Required value", "FieldValueRequired"))


_WORDS: dict[type, str] = {
    bool: "bool", str: "string", int: "number", dict: "object", list: "array", type(None): "null",
}  # fmt: skip


def json_type(value: Any) -> str:
    """The word of Go's JSON decoder for a value of this type."""
    return _WORDS.get(type(value)) or f"number {value}"
