"""The functions and operators of the language itself."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

from pilothouse.services.machinery.cel.declarations import declare
from pilothouse.services.machinery.cel.errors import EvaluationError
from pilothouse.services.machinery.cel.formats import EARLIEST, LATEST
from pilothouse.services.machinery.cel.operations import optional_element
from pilothouse.services.machinery.cel.values import (
    AssociatedList,
    Duration,
    Optional,
    SetList,
    Timestamp,
    Uint,
    equal,
    find,
    hashable,
)

_NUMERIC = ("int", "uint", "double")
_IDS = {"int": "int64", "uint": "uint64"}


def _comparisons() -> str:
    lines = []
    for name, symbol in (
        ("less", "<"),
        ("less_equals", "<="),
        ("greater", ">"),
        ("greater_equals", ">="),
    ):
        for kind in ("bool", "int", "uint", "double", "string", "bytes", "timestamp", "duration"):
            one = _IDS.get(kind, kind)
            lines.append(f"{name}_{one}: _{symbol}_({kind}, {kind}) -> bool")
            lines += [
                f"{name}_{one}_{_IDS.get(other, other)}: _{symbol}_({kind}, {other}) -> bool"
                for other in _NUMERIC
                if kind in _NUMERIC and other != kind
            ]
    return "\n".join(lines)


_OPERATORS = """
conditional: _?_:_(bool, A, A) -> A
logical_and: _&&_(bool, bool) -> bool
logical_or: _||_(bool, bool) -> bool
logical_not: !_(bool) -> bool
not_strictly_false: @not_strictly_false(bool) -> bool
equals: _==_(A, A) -> bool
not_equals: _!=_(A, A) -> bool
add_bytes: _+_(bytes, bytes) -> bytes
add_double: _+_(double, double) -> double
add_duration_duration: _+_(duration, duration) -> duration
add_duration_timestamp: _+_(duration, timestamp) -> timestamp
add_timestamp_duration: _+_(timestamp, duration) -> timestamp
add_int64: _+_(int, int) -> int
add_list: _+_(list(A), list(A)) -> list(A)
add_string: _+_(string, string) -> string
add_uint64: _+_(uint, uint) -> uint
divide_double: _/_(double, double) -> double
divide_int64: _/_(int, int) -> int
divide_uint64: _/_(uint, uint) -> uint
modulo_int64: _%_(int, int) -> int
modulo_uint64: _%_(uint, uint) -> uint
multiply_double: _*_(double, double) -> double
multiply_int64: _*_(int, int) -> int
multiply_uint64: _*_(uint, uint) -> uint
negate_double: -_(double) -> double
negate_int64: -_(int) -> int
subtract_double: _-_(double, double) -> double
subtract_duration_duration: _-_(duration, duration) -> duration
subtract_int64: _-_(int, int) -> int
subtract_timestamp_duration: _-_(timestamp, duration) -> timestamp
subtract_timestamp_timestamp: _-_(timestamp, timestamp) -> duration
subtract_uint64: _-_(uint, uint) -> uint
index_list: _[_](list(A), int) -> A
index_map: _[_](map(A, B), A) -> B
optional_list_index_int: _[_](optional(list(A)), int) -> optional(A)
optional_map_index_value: _[_](optional(map(A, B)), A) -> optional(B)
in_list: @in(A, list(A)) -> bool
in_map: @in(A, map(A, B)) -> bool
size_bytes: size(bytes) -> int
bytes_size: bytes .size() -> int
size_list: size(list(A)) -> int
list_size: list(A) .size() -> int
size_map: size(map(A, B)) -> int
map_size: map(A, B) .size() -> int
size_string: size(string) -> int
string_size: string .size() -> int
map_insert_key_value: cel.@mapInsert(map(A, B), A, B) -> map(A, B)
map_insert_map: cel.@mapInsert(map(A, B), map(A, B)) -> map(A, B)
"""

DECLARATIONS = declare(_OPERATORS + _comparisons())


def _int(result: int) -> int:
    if -(2**63) <= result < 2**63:
        return result
    raise EvaluationError("integer overflow")


def _uint(result: int) -> Uint:
    if 0 <= result < 2**64:
        return Uint(result)
    raise EvaluationError("unsigned integer overflow")


def _checked(
    function: Callable[[int, int], int], wrap: Callable[[int], int]
) -> Callable[[int, int], int]:
    return lambda a, b: wrap(function(int(a), int(b)))


def _add_int(a: int, b: int) -> int:
    result = a + b
    if -(2**63) <= result < 2**63:
        return result
    raise EvaluationError("integer overflow")


def _subtract_int(a: int, b: int) -> int:
    result = a - b
    if -(2**63) <= result < 2**63:
        return result
    raise EvaluationError("integer overflow")


def _quotient(a: int, b: int) -> int:
    if b == 0:
        raise EvaluationError("division by zero")
    result = abs(a) // abs(b)
    return result if (a < 0) == (b < 0) else -result


def _remainder(a: int, b: int) -> int:
    if b == 0:
        raise EvaluationError("modulus by zero")
    result = abs(a) % abs(b)
    return -result if a < 0 else result


def _divide_double(a: float, b: float) -> float:
    if b != 0:
        return a / b
    if a == 0 or math.isnan(a):
        return float("nan")
    return float("inf") if (a > 0) == (str(b)[0] != "-") else float("-inf")


def _duration(nanos: int) -> Duration:
    if -(2**63) <= nanos < 2**63:
        return Duration(nanos)
    raise EvaluationError("duration overflow")


def _timestamp(nanos: int) -> Timestamp:
    if EARLIEST <= nanos <= LATEST:
        return Timestamp(nanos)
    raise EvaluationError("timestamp overflow")


def add_lists(a: list[Any], b: list[Any]) -> list[Any]:
    """Concatenation, but a union for sets and a merge by key for associative lists."""
    if isinstance(a, SetList):
        seen = set(map(hashable, a))
        return SetList([*a, *(item for item in b if hashable(item) not in seen)])
    if isinstance(a, AssociatedList):
        merged = {hashable(a.key_of(item)): item for item in a}
        merged.update((hashable(a.key_of(item)), item) for item in b)
        result = AssociatedList(merged.values())
        result.keys = a.keys
        return result
    return [*a, *b]


def index(container: Any, key: Any) -> Any:
    """`container[key]`; optional containers give optional elements."""
    if isinstance(container, list):
        if type(key) is float and key.is_integer():
            key = int(key)
        if type(key) is not int and type(key) is not Uint:
            raise EvaluationError(f"unsupported index type '{type(key).__name__}' in list")
        if 0 <= key < len(container):
            return container[key]
        raise EvaluationError(f"index out of bounds: {int(key)}")
    if isinstance(container, Mapping):
        found, value = find(container, key)
        if found:
            return value
        raise EvaluationError(f"no such key: {key_text(key)}")
    if isinstance(container, Optional):
        return optional_element(container, key)
    raise EvaluationError("no such overload")


def key_text(key: object) -> str:
    """A map key as errors show it."""
    if isinstance(key, bool):
        return "true" if key else "false"
    return str(int(key)) if isinstance(key, int) else str(key)


def contains(element: Any, container: Any) -> bool:
    """`element in container`: of lists by equality, of maps by key."""
    if isinstance(container, list):
        if type(element) is str:
            return element in container
        return any(equal(element, item) for item in container)
    if isinstance(container, Mapping):
        if type(element) is str:
            return element in container
        return find(container, element)[0]
    raise EvaluationError("no such overload")


def _insert(mapping: dict[Any, Any], key: Any, value: Any) -> dict[Any, Any]:
    if find(mapping, key)[0]:
        raise EvaluationError(f"insert failed: key {key_text(key)} already exists")
    return {**mapping, key: value}


def _insert_map(mapping: dict[Any, Any], other: Mapping[Any, Any]) -> dict[Any, Any]:
    for key, value in other.items():
        mapping = _insert(mapping, key, value)
    return mapping


def _as_doubles(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """Integers are compared with doubles as doubles, which may round them."""
    return lambda a, b: compare(float(a), float(b))


IMPLEMENTATIONS: dict[str, Callable[..., Any]] = {
    "logical_not": operator.not_,
    "not_strictly_false": bool,
    "equals": equal,
    "not_equals": lambda a, b: not equal(a, b),
    "add_bytes": operator.add,
    "add_double": operator.add,
    "add_duration_duration": lambda a, b: _duration(a.nanos + b.nanos),
    "add_duration_timestamp": lambda a, b: _timestamp(a.nanos + b.nanos),
    "add_timestamp_duration": lambda a, b: _timestamp(a.nanos + b.nanos),
    "add_int64": _add_int,
    "add_list": add_lists,
    "add_string": operator.add,
    "add_uint64": _checked(operator.add, _uint),
    "divide_double": _divide_double,
    "divide_int64": _checked(_quotient, _int),
    "divide_uint64": _checked(_quotient, _uint),
    "modulo_int64": _checked(_remainder, _int),
    "modulo_uint64": _checked(_remainder, _uint),
    "multiply_double": operator.mul,
    "multiply_int64": _checked(operator.mul, _int),
    "multiply_uint64": _checked(operator.mul, _uint),
    "negate_double": operator.neg,
    "negate_int64": lambda a: _int(-a),
    "subtract_double": operator.sub,
    "subtract_duration_duration": lambda a, b: _duration(a.nanos - b.nanos),
    "subtract_int64": _subtract_int,
    "subtract_timestamp_duration": lambda a, b: _timestamp(a.nanos - b.nanos),
    "subtract_timestamp_timestamp": lambda a, b: _duration(a.nanos - b.nanos),
    "subtract_uint64": _checked(operator.sub, _uint),
    "map_insert_key_value": _insert,
    "map_insert_map": _insert_map,
    **dict.fromkeys(
        ("index_list", "index_map", "optional_list_index_int", "optional_map_index_value"), index
    ),
    **dict.fromkeys(("in_list", "in_map"), contains),
    **dict.fromkeys((f"size_{kind}" for kind in ("bytes", "list", "map", "string")), len),
    **dict.fromkeys((f"{kind}_size" for kind in ("bytes", "list", "map", "string")), len),
}
for _symbol, _function in (
    ("_<_", operator.lt),
    ("_<=_", operator.le),
    ("_>_", operator.gt),
    ("_>=_", operator.ge),
):
    for _overload in DECLARATIONS[_symbol]:
        _kinds = {arg.kind for arg in _overload.args}
        _mixed = len(_kinds) > 1 and "double" in _kinds
        IMPLEMENTATIONS[_overload.id] = _as_doubles(_function) if _mixed else _function
