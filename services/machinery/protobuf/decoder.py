"""Bytes to the values that JSON gives, along the messages of the API.

What is on the wire is taken, with two exceptions that make the result what Go's JSON of the same
object is: a zero that is no pointer's and that JSON leaves out is left out, and a list or map that
JSON always has is there though the wire can not tell an empty one. So ``replicas: 0`` stays and
``nodePort: 0`` goes.
"""

import binascii
import struct
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from pilothouse.services.machinery.protobuf.messages import (
    EMBEDDED,
    SCALARS,
    Field,
    Messages,
    is_wrapper,
)
from pilothouse.services.machinery.protobuf.unions import EMPTY, UNFOLD, Unfold
from pilothouse.services.machinery.protobuf.wire import (
    FIXED64,
    LENGTH,
    MORE,
    VARINT,
    Limits,
    Malformed,
    extent,
    long_varint,
    skip,
    tag,
)

Values = dict[str, Any]
Read = Callable[[bytes, int, int, Limits], Any]
"""Buffer, start and stop of the content, limits: the value, None for none."""
Put = Callable[[Values, bytes, int, int, Limits], int]
"""Values to add to, buffer, position, end of the message, limits: the position after the field."""

_DOUBLE = struct.Struct("<d")


class Decoders:
    """Readers of messages, compiled when first asked for."""

    def __init__(self, messages: Messages) -> None:
        self._messages = messages
        self._compiled: dict[str, Read] = {}

    def of(self, message: str) -> Read:
        """The reader of a message."""
        found = self._compiled.get(message)
        if found is None:
            found = self._compiled[message] = self._lazy(message)
            found = self._compiled[message] = self._compile(message)
        return found

    def _lazy(self, message: str) -> Read:
        """Stands in for a message that contains itself while that is being compiled."""

        def read(buffer: bytes, at: int, end: int, limits: Limits) -> Any:
            return self.of(message)(buffer, at, end, limits)

        return read

    def _compile(self, message: str) -> Read:
        fields = self._messages.fields(message)
        table: dict[int, Put] = {}
        for field in fields:
            table.update(self._puts(field))
        always = [(field.name, field.form) for field in fields if field.form and field.mark == "!"]
        read = _message(table, always)
        unfold = UNFOLD.get(message)
        if is_wrapper(fields):
            unfold = _only(EMPTY.get(message), is_list=fields[0].form == "[")
        return _unfolding(read, unfold) if unfold is not None else read

    def _puts(self, field: Field) -> dict[int, Put]:
        """What to do at each tag that the field may have."""
        if field.type in _NUMBERS and not field.form:
            wire, read = _NUMBERS[field.type]
            return {tag(field.number, wire): _number(field, wire, read)}
        if field.type in _NUMBERS and field.form == "[":
            wire, read = _NUMBERS[field.type]
            packed = _packed(field.name, _taker(wire, read))
            return {tag(field.number, wire): _each(field.name, _taker(wire, read)),
                    tag(field.number, LENGTH): packed}  # fmt: skip
        return {tag(field.number, LENGTH): self._put(field)}

    def _put(self, field: Field) -> Put:
        if field.form == "{":
            return _entry(field.name, self._entry(field.type), self._missing(field.type))
        read = _CONTENTS[field.type] if field.type in _CONTENTS else self.of(field.type)
        if field.form == "[":
            return _item(field.name, read)
        if field.name == EMBEDDED and field.type not in SCALARS:
            return _embedded(read)
        if field.type == "string":
            return _text(field.name, keep=field.mark != "")
        keep = field.mark != "" or field.name == EMBEDDED or field.type not in SCALARS
        return _single(field.name, read, keep=keep)

    def _entry(self, type_: str) -> Read:
        """The reader of a map's entry, a message of key and value."""
        fields = (Field(1, "k", "!", "", "string"), Field(2, "v", "!", "", type_))
        return _message({at: put for field in fields for at, put in self._puts(field).items()}, ())

    def _missing(self, type_: str) -> Callable[[], Any]:
        if type_ in SCALARS:
            return {"string": str, "bytes": str, "bool": bool, "double": float}.get(type_, int)
        return lambda: self.of(type_)(b"", 0, 0, Limits())


def _message(table: dict[int, Put], always: Sequence[tuple[str, str]]) -> Read:
    numbers = frozenset(key >> 3 for key in table)

    def read(buffer: bytes, at: int, end: int, limits: Limits) -> Values:
        limits.enter()
        values: Values = {}
        while at < end:
            key = buffer[at]
            at += 1
            if key >= MORE:
                key, at = long_varint(buffer, at, key)
            put = table.get(key)
            if put is not None:
                at = put(values, buffer, at, end, limits)
            elif key >> 3 in numbers:
                raise Malformed(f"wrong wire type {key & 7} for field {key >> 3}")
            else:
                at = skip(buffer, at, end, key)
        if at != end:
            raise Malformed("unexpected EOF")
        for name, form in always:
            if name not in values:
                values[name] = [] if form == "[" else {}
        limits.depth += 1
        return values

    return read


def _unfolding(read: Read, unfold: Unfold) -> Read:
    def unfolded(buffer: bytes, at: int, end: int, limits: Limits) -> Any:
        return unfold(read(buffer, at, end, limits))

    return unfolded


def _only(empty: Any, *, is_list: bool) -> Unfold:
    def unfold(fields: Values) -> Any:
        return fields.get(EMBEDDED, [] if is_list else empty)

    return unfold


def _text(name: str, *, keep: bool) -> Put:
    def put(values: Values, buffer: bytes, at: int, end: int, limits: Limits) -> int:
        del limits
        size = buffer[at]
        at += 1
        if size >= MORE:
            size, at = long_varint(buffer, at, size)
        stop = at + size
        if stop > end:
            raise Malformed("unexpected EOF")
        if size or keep:
            values[name] = buffer[at:stop].decode()
        else:
            values.pop(name, None)
        return stop

    return put


def _single(name: str, read: Read, *, keep: bool) -> Put:
    def put(values: Values, buffer: bytes, at: int, end: int, limits: Limits) -> int:
        at, stop = extent(buffer, at, end)
        value = read(buffer, at, stop, limits)
        if value is not None and (value or keep):
            values[name] = value
        return stop

    return put


def _embedded(read: Read) -> Put:
    def put(values: Values, buffer: bytes, at: int, end: int, limits: Limits) -> int:
        at, stop = extent(buffer, at, end)
        values.update(read(buffer, at, stop, limits))
        return stop

    return put


def _item(name: str, read: Read) -> Put:
    def put(values: Values, buffer: bytes, at: int, end: int, limits: Limits) -> int:
        at, stop = extent(buffer, at, end)
        value = read(buffer, at, stop, limits)
        if value is not None:
            values.setdefault(name, []).append(value)
        return stop

    return put


def _entry(name: str, read: Read, missing: Callable[[], Any]) -> Put:
    def put(values: Values, buffer: bytes, at: int, end: int, limits: Limits) -> int:
        at, stop = extent(buffer, at, end)
        entry = read(buffer, at, stop, limits)
        value = entry["v"] if "v" in entry else missing()
        if value is not None:
            values.setdefault(name, {})[entry.get("k", "")] = value
        return stop

    return put


def _number(field: Field, wire: int, convert: Callable[[int], Any]) -> Put:
    name, keep, take = field.name, field.mark != "", _taker(wire, convert)

    def put(values: Values, buffer: bytes, at: int, end: int, limits: Limits) -> int:
        del end, limits
        value, at = take(buffer, at)
        if value or keep:
            values[name] = value
        else:
            values.pop(name, None)
        return at

    return put


Take = Callable[[bytes, int], tuple[Any, int]]


def _each(name: str, take: Take) -> Put:
    def put(values: Values, buffer: bytes, at: int, end: int, limits: Limits) -> int:
        del end, limits
        value, at = take(buffer, at)
        values.setdefault(name, []).append(value)
        return at

    return put


def _packed(name: str, take: Take) -> Put:
    def put(values: Values, buffer: bytes, at: int, end: int, limits: Limits) -> int:
        del limits
        at, stop = extent(buffer, at, end)
        found = values.setdefault(name, [])
        while at < stop:
            value, at = take(buffer, at)
            found.append(value)
        if at != stop:
            raise Malformed("unexpected EOF")
        return stop

    return put


def _taker(wire: int, convert: Callable[[int], Any]) -> Take:
    def varint(buffer: bytes, at: int) -> tuple[Any, int]:
        value = buffer[at]
        at += 1
        if value >= MORE:
            value, at = long_varint(buffer, at, value)
        return convert(value), at

    def double(buffer: bytes, at: int) -> tuple[Any, int]:
        if at + _DOUBLE.size > len(buffer):
            raise Malformed("unexpected EOF")
        value: float = _DOUBLE.unpack_from(buffer, at)[0]
        if value - value != 0:
            raise Malformed("a number is none that JSON has")
        return value, at + _DOUBLE.size

    return double if wire == FIXED64 else varint


def _signed(bits: int) -> Callable[[int], int]:
    sign, mask = 1 << bits - 1, (1 << bits) - 1
    return lambda value: ((value & mask) ^ sign) - sign


def _string(buffer: bytes, at: int, end: int, limits: Limits) -> str:
    del limits
    return buffer[at:end].decode()


def _base64(buffer: bytes, at: int, end: int, limits: Limits) -> str:
    del limits
    return binascii.b2a_base64(buffer[at:end], newline=False).decode()


def _octets(buffer: bytes, at: int, end: int, limits: Limits) -> bytes:
    del limits
    return buffer[at:end]


def _json(buffer: bytes, at: int, end: int, limits: Limits) -> Any:
    del limits
    if at == end:
        return None
    try:
        return msgspec.json.decode(buffer[at:end])
    except (msgspec.DecodeError, RecursionError) as error:
        raise Malformed(f"raw JSON inside of it is not valid: {error}") from None


_CONTENTS: dict[str, Read] = {
    "string": _string, "bytes": _base64, "json": _json, "octets": _octets,
}  # fmt: skip
_NUMBERS: dict[str, tuple[int, Callable[[int], Any]]] = {
    "int32": (VARINT, _signed(32)),
    "int64": (VARINT, _signed(64)),
    "bool": (VARINT, bool),
    "double": (FIXED64, float),
}
