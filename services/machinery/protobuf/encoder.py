"""The values that JSON gives to bytes, along the messages of the API.

What a message does not know is left out, and so are nulls; fields come in the order of the values.
A value of another type than its field is a TypeError, ValueError or AttributeError of Python's.
"""

import binascii
import struct
from collections.abc import Callable
from typing import Any

import msgspec

from pilothouse.services.machinery.protobuf.messages import (
    EMBEDDED,
    SCALARS,
    Field,
    Messages,
    is_wrapper,
)
from pilothouse.services.machinery.protobuf.unions import FOLD, Fold
from pilothouse.services.machinery.protobuf.wire import (
    FIXED64,
    LENGTH,
    VARINT,
    delimited,
    tag,
    varint,
)

Encode = Callable[[Any], bytes]
"""JSON's value to the content of a field, without tag and length."""
Write = Callable[[bytearray, Any], None]
"""Add a field with its tag."""

_DOUBLE = struct.Struct("<d")


class Encoders:
    """Writers of messages, compiled when first asked for."""

    def __init__(self, messages: Messages) -> None:
        self._messages = messages
        self._compiled: dict[str, Encode] = {}

    def of(self, message: str) -> Encode:
        """The writer of a message."""
        found = self._compiled.get(message)
        if found is None:
            found = self._compiled[message] = self._lazy(message)
            found = self._compiled[message] = self._compile(message)
        return found

    def _lazy(self, message: str) -> Encode:
        """Stands in for a message that contains itself while that is being compiled."""

        def encode(value: Any) -> bytes:
            return self.of(message)(value)

        return encode

    def _compile(self, message: str) -> Encode:
        fields = self._messages.fields(message)
        embedded = [
            (field.number, self.of(field.type))
            for field in fields
            if field.name == EMBEDDED and field.type not in SCALARS
        ]
        writes = {field.name: self._write(field) for field in fields}
        encode = _message(writes, embedded)
        fold = FOLD.get(message)
        if is_wrapper(fields):
            fold = _only
        return _folding(encode, fold) if fold is not None else encode

    def _write(self, field: Field) -> Write:
        single = self._single(field.number, field.type)
        if field.form == "[":
            return _repeated(single)
        if field.form == "{":
            return _map(field.number, self._single(2, field.type))
        return single

    def _single(self, number: int, type_: str) -> Write:
        if type_ in _NUMBERS:
            wire, encode = _NUMBERS[type_]
            return _plain(varint(tag(number, wire)), encode)
        return _content(number, _CONTENTS[type_] if type_ in _CONTENTS else self.of(type_))


def _message(writes: dict[str, Write], embedded: list[tuple[int, Encode]]) -> Encode:
    def encode(values: dict[str, Any]) -> bytes:
        out = bytearray()
        for name, value in values.items():
            write = writes.get(name)
            if write is not None and value is not None:
                write(out, value)
        for number, inner in embedded:
            out += delimited(number, inner(values))
        return bytes(out)

    return encode


def _folding(encode: Encode, fold: Fold) -> Encode:
    return lambda value: encode(fold(value))


def _only(value: Any) -> dict[str, Any]:
    return {EMBEDDED: value}


def _plain(head: bytes, encode: Encode) -> Write:
    def write(out: bytearray, value: Any) -> None:
        out += head
        out += encode(value)

    return write


def _content(number: int, encode: Encode) -> Write:
    head = varint(tag(number, LENGTH))

    def write(out: bytearray, value: Any) -> None:
        content = encode(value)
        out += head
        out += varint(len(content))
        out += content

    return write


def _repeated(single: Write) -> Write:
    def write(out: bytearray, values: list[Any]) -> None:
        for value in values:
            single(out, value)

    return write


def _map(number: int, put_value: Write) -> Write:
    def write(out: bytearray, values: dict[str, Any]) -> None:
        for key, value in values.items():
            entry = bytearray(delimited(1, key.encode()))
            put_value(entry, value)
            out += delimited(number, bytes(entry))

    return write


_CONTENTS: dict[str, Encode] = {
    "string": str.encode,
    "bytes": binascii.a2b_base64,
    "json": msgspec.json.encode,
    "octets": bytes,
}
_NUMBERS: dict[str, tuple[int, Encode]] = {
    "int32": (VARINT, varint),
    "int64": (VARINT, varint),
    "bool": (VARINT, varint),
    "double": (FIXED64, _DOUBLE.pack),
}
