"""Conversions between types, type(), dyn() and the string predicates."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pilothouse.services.machinery.cel import regular
from pilothouse.services.machinery.cel.declarations import declare
from pilothouse.services.machinery.cel.errors import EvaluationError
from pilothouse.services.machinery.cel.formats import (
    EARLIEST,
    LATEST,
    NANOS,
    parse_duration,
    parse_timestamp,
    render_duration,
    render_timestamp,
)
from pilothouse.services.machinery.cel.values import Duration, Timestamp, Uint, type_value

if TYPE_CHECKING:
    from collections.abc import Callable

DECLARATIONS = declare("""
type: type(A) -> type(A)
to_dyn: dyn(A) -> dyn
bool_to_bool: bool(bool) -> bool
string_to_bool: bool(string) -> bool
bytes_to_bytes: bytes(bytes) -> bytes
string_to_bytes: bytes(string) -> bytes
double_to_double: double(double) -> double
int64_to_double: double(int) -> double
string_to_double: double(string) -> double
uint64_to_double: double(uint) -> double
duration_to_duration: duration(duration) -> duration
string_to_duration: duration(string) -> duration
int64_to_int64: int(int) -> int
double_to_int64: int(double) -> int
duration_to_int64: int(duration) -> int
string_to_int64: int(string) -> int
timestamp_to_int64: int(timestamp) -> int
uint64_to_int64: int(uint) -> int
string_to_string: string(string) -> string
bool_to_string: string(bool) -> string
bytes_to_string: string(bytes) -> string
double_to_string: string(double) -> string
duration_to_string: string(duration) -> string
int64_to_string: string(int) -> string
timestamp_to_string: string(timestamp) -> string
uint64_to_string: string(uint) -> string
timestamp_to_timestamp: timestamp(timestamp) -> timestamp
int64_to_timestamp: timestamp(int) -> timestamp
string_to_timestamp: timestamp(string) -> timestamp
uint64_to_uint64: uint(uint) -> uint
double_to_uint64: uint(double) -> uint
int64_to_uint64: uint(int) -> uint
string_to_uint64: uint(string) -> uint
contains_string: string .contains(string) -> bool
ends_with_string: string .endsWith(string) -> bool
starts_with_string: string .startsWith(string) -> bool
matches: matches(string, string) -> bool
matches_string: string .matches(string) -> bool
""")

_PLAIN_EXPONENTS = range(-4, 6)
_DIGITS_MAX = 20
_TRUE = frozenset(("1", "t", "T", "true", "TRUE", "True"))
_FALSE = frozenset(("0", "f", "F", "false", "FALSE", "False"))
_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_FLOAT = re.compile(
    r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|inf|infinity|nan)",
    re.ASCII | re.IGNORECASE,
)


def _identity(value: Any) -> Any:
    return value


def _to_bool(text: str) -> bool:
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise EvaluationError(f'strconv.ParseBool: parsing "{text}": invalid syntax')


def _to_double(text: str) -> float:
    if _FLOAT.fullmatch(text) is None:
        raise EvaluationError(f'strconv.ParseFloat: parsing "{text}": invalid syntax')
    return float(text)


def _bounded(text: str) -> int:
    """The integer, or one that is out of every range: Python refuses very long ones."""
    digits = text.lstrip("+-").lstrip("0")
    if len(digits) > _DIGITS_MAX:
        return -(2**80) if text.startswith("-") else 2**80
    return int(text)


def _text_to_int(text: str) -> int:
    if _INTEGER.fullmatch(text) is None:
        raise EvaluationError(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    value = _bounded(text)
    if not -(2**63) <= value < 2**63:
        raise EvaluationError(f'strconv.ParseInt: parsing "{text}": value out of range')
    return value


def _text_to_uint(text: str) -> Uint:
    if not (text.isascii() and text.isdigit()):
        raise EvaluationError(f'strconv.ParseUint: parsing "{text}": invalid syntax')
    value = _bounded(text)
    if value >= 2**64:
        raise EvaluationError(f'strconv.ParseUint: parsing "{text}": value out of range')
    return Uint(value)


def _double_to_int(value: float) -> int:
    # Go's conversion is not defined at the edges, so upstream leaves both of them out.
    if math.isnan(value) or value <= -(2.0**63) or value >= 2.0**63:
        raise EvaluationError("integer overflow")
    return int(value)


def _double_to_uint(value: float) -> Uint:
    if math.isnan(value) or value < 0 or value >= 2.0**64:
        raise EvaluationError("unsigned integer overflow")
    return Uint(value)


def _int_to_uint(value: int) -> Uint:
    if value < 0:
        raise EvaluationError("unsigned integer overflow")
    return Uint(value)


def _uint_to_int(value: int) -> int:
    if value >= 2**63:
        raise EvaluationError("integer overflow")
    return int(value)


def _bytes_to_text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise EvaluationError("invalid UTF-8 in bytes, cannot convert to string") from None


def double_text(value: float) -> str:
    """Go's shortest form: `1`, `0.5`, `1e+06`, `+Inf`."""
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if math.isnan(value):
        return "NaN"
    number = Decimal(repr(value))
    exponent = number.adjusted() if number else 0
    if exponent in _PLAIN_EXPONENTS:
        return f"{number:f}".removesuffix(".0")
    sign, digits, _ = number.as_tuple()
    text = "".join(map(str, digits)).rstrip("0")
    fraction = f".{text[1:]}" if text[1:] else ""
    return f"{'-' * sign}{text[0]}{fraction}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def _to_duration(text: str) -> Duration:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise EvaluationError(str(error)) from None


def _text_to_timestamp(text: str) -> Timestamp:
    try:
        return _in_range(parse_timestamp(text))
    except ValueError as error:
        raise EvaluationError(str(error)) from None


def _in_range(value: Timestamp) -> Timestamp:
    if EARLIEST <= value.nanos <= LATEST:
        return value
    raise EvaluationError("timestamp overflow")


IMPLEMENTATIONS: dict[str, Callable[..., Any]] = {
    "type": type_value,
    "to_dyn": _identity,
    **{f"{kind}_to_{kind}": _identity for kind in
       ("bool", "bytes", "double", "duration", "int64", "string", "timestamp", "uint64")},
    "string_to_bool": _to_bool,
    "string_to_bytes": lambda text: text.encode(),
    "int64_to_double": float,
    "uint64_to_double": float,
    "string_to_double": _to_double,
    "string_to_duration": _to_duration,
    "double_to_int64": _double_to_int,
    "duration_to_int64": lambda value: value.nanos,
    "string_to_int64": _text_to_int,
    "timestamp_to_int64": lambda value: value.nanos // NANOS,
    "uint64_to_int64": _uint_to_int,
    "bool_to_string": lambda value: "true" if value else "false",
    "bytes_to_string": _bytes_to_text,
    "double_to_string": double_text,
    "duration_to_string": render_duration,
    "int64_to_string": str,
    "timestamp_to_string": render_timestamp,
    "uint64_to_string": lambda value: str(int(value)),
    "int64_to_timestamp": lambda value: _in_range(Timestamp(value * NANOS)),
    "string_to_timestamp": _text_to_timestamp,
    "double_to_uint64": _double_to_uint,
    "int64_to_uint64": _int_to_uint,
    "string_to_uint64": _text_to_uint,
    "contains_string": lambda text, part: part in text,
    "ends_with_string": str.endswith,
    "starts_with_string": str.startswith,
    "matches": regular.matches,
    "matches_string": regular.matches,
}  # fmt: skip
