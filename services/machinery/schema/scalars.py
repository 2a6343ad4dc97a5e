"""Checks of single values: numbers, texts with a format, quantities.

Each takes the value, its path and its struct's name, and returns the value to keep.
"""

import binascii
import re
from collections.abc import Callable
from typing import Any

from pilothouse.services.machinery import quantity
from pilothouse.services.machinery.schema.report import Path, Unreadable, json_type, names

Scalar = Callable[[Any, Path, str], Any]

_INT32 = 2**31
_INT64 = 2**63
_TIME = re.compile(
    r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[Tt]([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)"
    r"(\.\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)"
)
_NO_BASE64 = re.compile(rb"[^A-Za-z0-9+/\r\n]")
_NO_LINE = re.compile(rb"[^\r\n]")
_TIME_LAYOUT = "2006-01-02T15:04:05Z07:00"


def refuse(value: Any, path: Path, struct: str, go_type: str) -> Unreadable:
    """The error of Go's decoder for a value of the wrong type."""
    return Unreadable(
        f"json: cannot unmarshal {json_type(value)} into Go struct field "
        f"{struct}.{names(path)} of type {go_type}"
    )


def text(value: Any, path: Path, struct: str) -> Any:
    if type(value) is not str:
        raise refuse(value, path, struct, "string")
    return value


def boolean(value: Any, path: Path, struct: str) -> Any:
    if type(value) is not bool:
        raise refuse(value, path, struct, "bool")
    return value


def int32(value: Any, path: Path, struct: str) -> Any:
    return _integer(value, path, struct, "int32", _INT32)


def int64(value: Any, path: Path, struct: str) -> Any:
    return _integer(value, path, struct, "int64", _INT64)


def _integer(value: Any, path: Path, struct: str, go_type: str, bound: int) -> int:
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int:
        raise refuse(value, path, struct, go_type)
    if not -bound <= value < bound:
        raise Unreadable(
            f"json: cannot unmarshal number {value} into Go struct field "
            f"{struct}.{names(path)} of type {go_type}"
        )
    return value


def number(value: Any, path: Path, struct: str) -> Any:
    if type(value) not in {int, float}:
        raise refuse(value, path, struct, "float64")
    return value


def octets(value: Any, path: Path, struct: str) -> Any:
    """Base64 text."""
    if type(value) is not str:
        raise refuse(value, path, struct, "[]uint8")
    try:
        binascii.a2b_base64(value.replace("\n", "").replace("\r", ""), strict_mode=True)
    except ValueError:
        at = _corrupt_at(value.encode(errors="surrogatepass"))
        raise Unreadable(f"illegal base64 data at input byte {at}") from None
    return value


def _corrupt_at(data: bytes) -> int:
    """Where Go's decoder stops, which passes over ends of lines."""
    found = _NO_BASE64.search(data)
    stop = len(data) if found is None else found.start()
    held = (stop - data.count(b"\n", 0, stop) - data.count(b"\r", 0, stop)) % 4
    if found is None:
        return stop - held
    if found.group() != b"=" or held < 2:  # noqa: PLR2004 - so many letters make a byte
        return stop
    after = _after_lines(data, stop + 1)
    if held == 2:  # noqa: PLR2004 - and then two signs fill the four
        if after == len(data):
            return after
        if data[after : after + 1] != b"=":
            return after - 1
        after = _after_lines(data, after + 1)
    return after


def _after_lines(data: bytes, at: int) -> int:
    found = _NO_LINE.search(data, at)
    return len(data) if found is None else found.start()


def instant(value: Any, path: Path, struct: str) -> Any:
    """RFC 3339 text."""
    if type(value) is not str:
        raise refuse(value, path, struct, "string")
    if _TIME.fullmatch(value) is None:
        raise Unreadable(f'parsing time "{value}" as "{_TIME_LAYOUT}": cannot parse "{value}"')
    return value


def int_or_text(value: Any, path: Path, struct: str) -> Any:
    if type(value) is str:
        return value
    return _integer(value, path, struct, "intstr.IntOrString", _INT32)


def amount(value: Any, path: Path, struct: str) -> Any:
    """A quantity, in its one canonical spelling."""
    del path, struct
    if type(value) not in {str, int, float}:
        raise Unreadable(
            "unable to parse quantity's suffix"
            if type(value) is bool
            else f"json: cannot unmarshal {json_type(value)} into a quantity"
        )
    try:
        return quantity.canonical(value)
    except ValueError as error:
        raise Unreadable(str(error)) from None
