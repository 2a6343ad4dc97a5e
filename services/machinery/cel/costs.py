"""What calls cost at run time, in the units of Kubernetes' limits.

One unit is about the work of reading a field. A cost is an int where it does not depend on the
values, otherwise a function of (arguments, result).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pilothouse.services.machinery.cel.values import actual_size

if TYPE_CHECKING:
    from pilothouse.services.machinery.cel.types import Type

PER_CALL_LIMIT = 1_000_000
RUNTIME_BUDGET = 10_000_000
STATIC_LIMIT_PER_EXPRESSION = 10_000_000
STATIC_LIMIT_PER_DEFINITION = 100_000_000
LIST_COST, MAP_COST, STRUCT_COST = 10, 30, 40
STRING_FACTOR = 0.1
REGEX_FACTOR = 0.25
CHECK_COST = 350_000
FORMAT_REGEX_SIZE = 128

Arguments = tuple[Any, ...]
Cost = int | Callable[[Arguments, Any], int]


def _ceil(value: float) -> int:
    return math.ceil(value)


def traversal(value: object) -> int:
    """The cost of walking a whole value once."""
    if isinstance(value, str | bytes):
        return int(len(value) * STRING_FACTOR)
    if isinstance(value, list):
        return sum(map(traversal, value))
    if isinstance(value, Mapping):
        return sum(traversal(k) + traversal(v) for k, v in value.items())
    return 1


def _of_first(factor: float) -> Callable[[Arguments, Any], int]:
    return lambda args, result: _ceil(actual_size(args[0]) * factor)


def _regex(args: Arguments, _: Any) -> int:
    return _ceil((1.0 + actual_size(args[0])) * STRING_FACTOR) * _ceil(
        actual_size(args[1]) * REGEX_FACTOR
    )


def _contains(args: Arguments, _: Any) -> int:
    return _ceil(actual_size(args[0]) * STRING_FACTOR) * _ceil(actual_size(args[1]) * STRING_FACTOR)


def _smaller(args: Arguments, _: Any) -> int:
    return _ceil(min(actual_size(args[0]), actual_size(args[1])) * STRING_FACTOR)


def _equality(args: Arguments, result: Any) -> int:
    return 1 if hasattr(args[0], "unit_equality") else _smaller(args, result)


def _contains_ip(parsed: bool, masked: bool) -> Callable[[Arguments, Any], int]:
    def cost(args: Arguments, _: Any) -> int:
        size = actual_size(args[0])
        total = _ceil(2 * size * STRING_FACTOR)
        if masked:
            total += _ceil(size * STRING_FACTOR) + 1
        return total + (_ceil(actual_size(args[1]) * STRING_FACTOR) if parsed else 0)

    return cost


def _selector(args: Arguments, _: Any) -> int:
    return selector_cost(actual_size(args[1]))


def selector_cost(length: int) -> int:
    """Parsing a selector and building a requirement for every two characters."""
    return (
        LIST_COST
        + _ceil(length * STRING_FACTOR)
        + _ceil(_ceil(length * 0.5) * float(LIST_COST + STRUCT_COST))
    )


def _validate(args: Arguments, _: Any) -> int:
    size = getattr(args[0], "regex_size", FORMAT_REGEX_SIZE)
    return _ceil((1.0 + actual_size(args[1])) * STRING_FACTOR) * _ceil(size * REGEX_FACTOR)


def _traversed(args: Arguments, _: Any) -> int:
    return traversal(args[0])


def _affix(args: Arguments, _: Any) -> int:
    return _ceil(actual_size(args[1]) * STRING_FACTOR)


def _pairs(factor: float) -> Callable[[Arguments, Any], int]:
    return lambda args, result: 1 + int(actual_size(args[0]) * actual_size(args[1]) * factor)


def _built(args: Arguments, result: Any) -> int:
    return 1 + LIST_COST + actual_size(result)


def _flattened(args: Arguments, result: Any) -> int:
    depth = args[1] if len(args) > 1 else 1
    return 1 + LIST_COST + int(actual_size(args[0]) * float(depth))


def _compared(position: int) -> Callable[[Arguments, Any], int]:
    """Every element with every other one, as sorting and distinct() may."""

    def cost(args: Arguments, _: Any) -> int:
        values = args[position]
        text = bool(values) and isinstance(values[0], str | bytes)
        factor = 2.0 + (STRING_FACTOR if text else 0.0)
        return 1 + LIST_COST + int(len(values) ** 2 * factor)

    return cost


_COMPARABLE = ("int", "uint", "double", "bool", "duration", "timestamp", "string", "bytes")
_COMPARISONS = [
    f"{name}_{kind}"
    for name in ("less", "less_equals", "greater", "greater_equals")
    for kind in ("string", "bytes")
]
_PARSED = (
    *("url", "lowerAscii", "upperAscii", "substring", "trim", "jsonpatch.escapeKey"),
    *("cidr", "isIP", "isCIDR", "quantity", "isQuantity", "semver", "isSemver"),
)
_SCANNED = ("string_to_bytes", "bytes_to_string", "strings_quote", "string_format")
_SEARCHED = ("isSorted", "sum", "max", "min", "indexOf", "lastIndexOf", "includes")
BY_FUNCTION: dict[str, Cost] = {
    "check": CHECK_COST,
    **dict.fromkeys(("fieldSelector", "labelSelector"), _selector),
    **dict.fromkeys(_SEARCHED, _traversed),
    **dict.fromkeys(_PARSED, _of_first(STRING_FACTOR)),
    **dict.fromkeys(("replace", "split", "ip.isCanonical"), _of_first(2 * STRING_FACTOR)),
    "join": lambda args, result: _ceil(actual_size(result) * 2 * STRING_FACTOR),
    **dict.fromkeys(("find", "findAll"), _regex),
    "validate": _validate,
}
BY_OVERLOAD: dict[str, Cost] = {
    "cidr_ip": 1,
    "string_to_ip": _of_first(STRING_FACTOR),
    "cidr_contains_ip_string": _contains_ip(parsed=True, masked=False),
    "cidr_contains_ip_ip": _contains_ip(parsed=False, masked=False),
    "cidr_contains_cidr_string": _contains_ip(parsed=True, masked=True),
    "cidr_contains_cidr": _contains_ip(parsed=False, masked=True),
    **dict.fromkeys(_SCANNED, _of_first(STRING_FACTOR)),
    **dict.fromkeys(("starts_with_string", "ends_with_string"), _affix),
    **dict.fromkeys(("list_sets_contains_list", "list_sets_intersects_list"), _pairs(1.0)),
    "list_sets_equivalent_list": _pairs(2.0),
    **dict.fromkeys(("list_slice", "lists_range", "list_reverse"), _built),
    **dict.fromkeys(("list_flatten", "list_flatten_int"), _flattened),
    "list_distinct": _compared(0),
    **{f"list_{kind}_sort": _compared(0) for kind in _COMPARABLE},
    **{f"list_{kind}_sortByAssociatedKeys": _compared(1) for kind in _COMPARABLE},
    "in_list": lambda args, result: actual_size(args[1]),
    **dict.fromkeys(_COMPARISONS, _smaller),
    "equals": _equality,
    "not_equals": _smaller,
    **dict.fromkeys(
        ("add_string", "add_bytes"),
        lambda args, result: _ceil((actual_size(args[0]) + actual_size(args[1])) * STRING_FACTOR),
    ),
    "matches_string": _regex,
    "contains_string": _contains,
}
_SIZELESS = frozenset(("bool", "int", "uint", "double", "timestamp", "duration", "null", "type"))


def call_cost(function: str, overloads: tuple[str, ...], args: list[Type]) -> Cost:
    """The cost of one call, besides its arguments'."""
    if function in ("_==_", "_!=_"):
        if args[0].kind in _SIZELESS or args[1].kind in _SIZELESS:
            return 1
        return BY_OVERLOAD["equals" if function == "_==_" else "not_equals"]
    if len(overloads) == 1 and overloads[0] in BY_OVERLOAD:
        return BY_OVERLOAD[overloads[0]]
    return BY_FUNCTION.get(function, 1)
