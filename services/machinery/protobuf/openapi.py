"""Documents of OpenAPI in protobuf, as gnostic writes them: from their JSON form, one way.

``openapi.txt`` holds the messages: for each, a field's number, its key in JSON, its type.

    4 get Operation            the value of that key
    1 * PathItem               every key that no other line names: repeated, each with its name
    9 x- any                   every key that begins with ``x-``, its value as text
    1 . Schema                 the message is, in JSON, the value itself
    1 a Parameter|Reference    a choice of two: the second when the value has ``$ref``

Types are ``string``, ``bool``, ``int64``, ``double``, ``any`` (a message with JSON's text),
``default`` (one of three scalars) or messages; in ``[]`` repeated.
"""

import struct
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from pilothouse.services.machinery.protobuf.wire import (
    FIXED64,
    VARINT,
    delimited,
    tag,
    varint,
)

Encode: TypeAlias = Callable[[Any], bytes]
"""A value to the content of its field."""
Write: TypeAlias = Callable[[bytearray, Any], None]
"""Add a field with its tag."""

REST, EXTENSIONS, ITSELF = "*", "x-", "."
_DOUBLE = struct.Struct("<d")
_YAML = 2


def encode_v3(document: dict[str, Any]) -> bytes:
    """``openapi.v3.Document``."""
    return _messages("v3").of("Document")(document)


def encode_v2(document: dict[str, Any]) -> bytes:
    """``openapi.v2.Document``."""
    return _messages("v2").of("Document")(document)


class _Messages:
    """The messages of one version, each compiled when it is first met."""

    def __init__(self, lines: Mapping[str, list[str]]) -> None:
        self._lines = lines
        self._compiled: dict[str, Encode] = {
            "string": str.encode, "any": _any, "default": _default,
        }  # fmt: skip
        if "OtherParameter" in lines:
            self._compiled["Parameter"] = self._parameter

    def of(self, name: str) -> Encode:
        """The writer of a type, which may be a choice of two."""
        found = self._compiled.get(name)
        if found is None:
            self._compiled[name] = self._lazy(name)
            found = self._compiled[name] = self._choice(name) if "|" in name else self._make(name)
        return found

    def _lazy(self, name: str) -> Encode:
        """Stands in for a message that contains itself while that is being compiled."""

        def encode(value: Any) -> bytes:
            return self._compiled[name](value)

        return encode

    def _choice(self, name: str) -> Encode:
        first, second = map(self.of, name.split("|"))
        return lambda value: (
            delimited(2, second(value)) if "$ref" in value else delimited(1, first(value))
        )

    def _parameter(self, value: Any) -> bytes:
        if value["in"] == "body":
            return delimited(1, self.of("BodyParameter")(value))
        number, name = (3, "QueryParameter") if value["in"] == "query" else (4, "PathParameter")
        return delimited(2, delimited(number, self.of(name)(value)))

    def _make(self, name: str) -> Encode:
        if name == "Additional":
            return self._additional()
        named: dict[str, Write] = {}
        rest: Write | None = None
        extensions: Write | None = None
        for line in self._lines[name]:
            number, key, type_ = line.split()
            if key == ITSELF:
                return _alone(self._write(int(number), type_))
            if key == REST:
                rest = _named(int(number), self.of(type_))
            elif key == EXTENSIONS:
                extensions = _named(int(number), _any)
            else:
                named[key] = self._write(int(number), type_)
        return _message(named, rest, extensions)

    def _additional(self) -> Encode:
        schema, boolean = (line.split()[2] for line in self._lines["Additional"])
        written = self._write(1, schema), self._write(2, boolean)

        def encode(value: Any) -> bytes:
            out = bytearray()
            written[isinstance(value, bool)](out, value)
            return bytes(out)

        return encode

    def _write(self, number: int, type_: str) -> Write:
        if type_.startswith("["):
            return _repeated(self._write(number, type_[1:-1]))
        if type_ in _NUMBERS:
            wire, encode = _NUMBERS[type_]
            return _field(varint(tag(number, wire)), encode)
        return _content(number, self.of(type_))


def _message(named: Mapping[str, Write], rest: Write | None, extensions: Write | None) -> Encode:
    def encode(value: Mapping[str, Any]) -> bytes:
        out = bytearray()
        for key, item in value.items():
            write = named.get(key)
            if write is not None:
                write(out, item)
            elif key.startswith(EXTENSIONS):
                if extensions is not None:
                    extensions(out, (key, item))
            elif rest is not None:
                rest(out, (key, item))
        return bytes(out)

    return encode


def _alone(write: Write) -> Encode:
    def encode(value: Any) -> bytes:
        out = bytearray()
        write(out, value)
        return bytes(out)

    return encode


def _field(head: bytes, encode: Encode) -> Write:
    def write(out: bytearray, value: Any) -> None:
        out += head
        out += encode(value)

    return write


def _content(number: int, encode: Encode) -> Write:
    def write(out: bytearray, value: Any) -> None:
        out += delimited(number, encode(value))

    return write


def _repeated(single: Write) -> Write:
    def write(out: bytearray, values: list[Any]) -> None:
        for value in values:
            single(out, value)

    return write


def _named(number: int, encode: Encode) -> Write:
    def write(out: bytearray, item: tuple[str, Any]) -> None:
        key, value = item
        out += delimited(number, delimited(1, key.encode()) + delimited(2, encode(value)))

    return write


def _any(value: Any) -> bytes:
    return delimited(_YAML, msgspec.json.encode(value) + b"\n")


def _default(value: Any) -> bytes:
    """Lists and maps have no form here; who reads takes them for not given."""
    if isinstance(value, bool):
        return varint(tag(2, VARINT)) + varint(value)
    if isinstance(value, int | float):
        return varint(tag(1, FIXED64)) + _DOUBLE.pack(value)
    return delimited(3, value.encode()) if isinstance(value, str) else b""


_NUMBERS: dict[str, tuple[int, Encode]] = {
    "bool": (VARINT, varint),
    "int64": (VARINT, varint),
    "double": (FIXED64, _DOUBLE.pack),
}


@lru_cache(maxsize=2)
def _messages(version: str) -> _Messages:
    lines: dict[str, dict[str, list[str]]] = {}
    within: dict[str, list[str]] = {}
    last: list[str] = []
    for line in Path(__file__).with_name("openapi.txt").read_text().splitlines():
        if line.startswith("  "):
            last.append(line)
        elif line.startswith(" "):
            last = within[line.strip()] = []
        elif not line.startswith("#"):
            within = lines[line] = {}
    return _Messages(lines[version])
