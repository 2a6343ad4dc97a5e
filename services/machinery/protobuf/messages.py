"""The messages of the API: field numbers, names and types, from ``messages.txt``.

The text holds facts of the published API only: numbers and types as its ``.proto`` files have
them, names as its JSON has them, and of the Go structs the one thing that neither tells: whether a
field is a pointer, and whether it is left out when empty. A line without indent opens a package,
with the API version that its kinds are served under; one blank opens a message; two a field:

    1 name string       a value, left out of JSON when it is zero (``omitempty``)
    1 name! string      a value that JSON always has
    1 name* string      a pointer: given when it is on the wire, zero or not
    1 . Other           embedded: the fields of Other are the parent's in JSON
    1 . string          the message is, in JSON, just this field (quantities, raw JSON, lists)

A type is a scalar, a message of the package, or one with its package (``meta.v1.Time``); in
``[]`` it is repeated, in ``{}`` it is the value of a map from texts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

SCALARS = frozenset({"string", "int32", "int64", "bool", "bytes", "double", "json", "octets"})
EMBEDDED = "."
# Kinds that every API version has.
EVERYWHERE = frozenset({
    "APIGroup", "APIGroupList", "APIResourceList", "APIVersions", "DeleteOptions", "Status",
    "PartialObjectMetadata", "PartialObjectMetadataList",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Field:
    """``form`` is ``[`` for lists, ``{`` for maps or empty; ``mark`` is ``!``, ``*`` or empty."""

    number: int
    name: str
    mark: str
    form: str
    type: str


def is_wrapper(fields: Sequence[Field]) -> bool:
    """Whether a message of these fields is, in JSON, just the value of its only one."""
    return len(fields) == 1 and fields[0].name == EMBEDDED and fields[0].type in SCALARS


class Messages:
    """Messages by name: package and message, ``core.v1.Pod``. Fields are parsed when asked for."""

    def __init__(self, text: str) -> None:
        found: dict[str, list[str]] = {}
        self._packages: dict[str, str] = {}
        package = ""
        lines: list[str] = []
        for line in text.splitlines():
            if line.startswith("  "):
                lines.append(line)
            elif line.startswith(" "):
                lines = found[f"{package}.{line[1:]}"] = []
            elif not line.startswith("#"):
                package, _, version = line.partition(" ")
                if version:
                    self._packages[version] = package
        # Most are never asked for: a text each is a fifth of what their lines would take.
        self._texts = {message: "\n".join(lines) for message, lines in found.items()}

    def fields(self, message: str) -> list[Field]:
        """The fields of a message; KeyError when there is none of that name."""
        package = message.rpartition(".")[0]
        return [_field(package, line) for line in self._texts[message].splitlines()]

    def of_kind(self, api_version: str, kind: str) -> str:
        """The message of a kind.

        Raises:
            KeyError: with the API version when none of its kinds is known, else with the kind.
        """
        package = self._packages.get(api_version, "")
        if package and f"{package}.{kind}" in self._texts:
            return f"{package}.{kind}"
        if kind in EVERYWHERE:
            return f"meta.v1.{kind}"
        raise KeyError(kind if package else api_version)

    def kinds(self) -> list[tuple[str, str, str]]:
        """API version, kind and message of whatever has the metadata of an object or a list."""
        versions = {package: version for version, package in self._packages.items()}
        return [
            (versions[package], kind, message)
            for message, text in self._texts.items()
            for package, _, kind in (message.rpartition("."),)
            if package in versions and " metadata" in text
        ]


def _field(package: str, line: str) -> Field:
    number, name, type_ = line.split()
    mark = name[-1] if name[-1] in "!*" else ""
    form = type_[0] if type_[0] in "[{" else ""
    if form:
        type_ = type_[1:-1]
    if type_ not in SCALARS and "." not in type_:
        type_ = f"{package}.{type_}"
    return Field(int(number), name.removesuffix(mark) if mark else name, mark, form, type_)


@lru_cache(maxsize=1)
def published() -> Messages:
    """The messages of the kinds that are served; read once."""
    return Messages(Path(__file__).with_name("messages.txt").read_text())
