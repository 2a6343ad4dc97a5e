"""Static costs and result sizes of calls, by function and overload."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from pilothouse.services.machinery.cel.costs import (
    CHECK_COST,
    FORMAT_REGEX_SIZE,
    LIST_COST,
    REGEX_FACTOR,
    STRING_FACTOR,
    STRUCT_COST,
)
from pilothouse.services.machinery.cel.nodes import Literal, Node
from pilothouse.services.machinery.cel.sizes import MOST, ONE, UNKNOWN, Range, exactly
from pilothouse.services.machinery.cel.types import Type, same


class Operand(NamedTuple):
    """A call's target or argument: its path from a variable and its size, where known."""

    node: Node
    path: tuple[str, ...]
    size: Range | None
    bounded: Callable[[tuple[str, ...]], Range | None]

    @property
    def type(self) -> Type:
        return self.node.type

    def sized(self) -> Range:
        """The size, or that it is not known."""
        return UNKNOWN if self.size is None else self.size

    def element_size(self) -> Range | None:
        """The size of a list's elements; None where the type has no elements."""
        if not self.type.params:
            return None
        found = self.bounded((*self.path, "@items")) if self.path else None
        return UNKNOWN if found is None else found


class CallEstimate(NamedTuple):
    """What a call costs, and how large its result is where that is known."""

    cost: Range
    size: Range | None


Operands = list[Operand]
Estimator = Callable[[str, "Operand | None", Operands], "CallEstimate | None"]


def estimate_call(
    function: str, overload: str, target: Operand | None, args: Operands
) -> CallEstimate:
    """The cost of a call without its arguments' own."""
    by_function = _BY_FUNCTION.get(function)
    found = by_function(overload, target, args) if by_function is not None else None
    if found is None:
        by_overload = _BY_OVERLOAD.get(overload)
        found = by_overload(overload, target, args) if by_overload is not None else None
    return found or CallEstimate(ONE, None)


def _fixed(cost: int) -> Estimator:
    result = CallEstimate(exactly(cost), None)
    return lambda overload, target, args: result


def _parsing(factor: float, keeps_size: bool = False) -> Estimator:
    def estimator(overload: str, target: Operand | None, args: Operands) -> CallEstimate | None:
        if not args:
            return None
        size = args[0].sized()
        return CallEstimate(size.scaled(factor), size if keeps_size else None)

    return estimator


def _selector(overload: str, target: Operand | None, args: Operands) -> CallEstimate:
    size = args[0].sized()
    requirements = size.scaled(0.5).scaled(float(LIST_COST + STRUCT_COST))
    return CallEstimate(
        exactly(LIST_COST).plus(size.scaled(STRING_FACTOR)).plus(requirements), None
    )


def _searching(overload: str, target: Operand | None, args: Operands) -> CallEstimate | None:
    """Of lists a unit an element and what comparing text costs, of strings a traversal."""
    if target is None:
        return None
    element = target.element_size()
    if element is None:
        return CallEstimate(target.sized().scaled(STRING_FACTOR), None)
    each = ONE
    if target.type.params[0].kind in ("string", "bytes"):
        each = each.plus(element.scaled(STRING_FACTOR))
    return CallEstimate(target.sized().times(each), None)


def _rewriting(overload: str, target: Operand | None, args: Operands) -> CallEstimate | None:
    if target is None:
        return None
    size = target.sized()
    return CallEstimate(size.scaled(STRING_FACTOR), size)


def _replace(overload: str, target: Operand | None, args: Operands) -> CallEstimate | None:
    if target is None or len(args) == 1:
        return None
    size, old, new = target.sized(), args[0].sized(), args[1].sized()
    least_count = most_count = least_kept = most_kept = 0
    if old.min == 0:
        most_count = min(size.max + 1, MOST)
        most_kept = size.max
    elif new.max <= old.min:
        most_kept = size.max
    else:
        most_count = math.ceil(size.max / old.min)
    if old.max == 0:
        least_count = min(size.min + 1, MOST)
        least_kept = size.min
    elif old.max <= new.min:
        least_kept = size.min
    else:
        least_count = math.ceil(size.min / old.max)
    result = Range(least_count, most_count).times(new).plus(Range(least_kept, most_kept))
    return CallEstimate(size.scaled(2 * STRING_FACTOR), result)


def _split(overload: str, target: Operand | None, args: Operands) -> CallEstimate | None:
    if target is None:
        return None
    size, most = target.sized(), target.sized().max
    if len(args) > 1 and isinstance(args[1].node, Literal) and type(args[1].node.value) is int:
        most = args[1].node.value % 2**64
    return CallEstimate(size.scaled(2 * STRING_FACTOR), Range(0, most))


def _join(overload: str, target: Operand | None, args: Operands) -> CallEstimate | None:
    if target is None:
        return None
    count, element = target.sized(), target.element_size()
    size = count.times(element) if element is not None else exactly(0)
    if args:
        separators = Range(max(count.min - 1, 0), max(count.max - 1, 0))
        size = size.plus(args[0].sized().times(separators))
    return CallEstimate(size.scaled(STRING_FACTOR), size)


def _regex(text: Range, pattern: Range) -> Range:
    return text.plus(ONE).scaled(STRING_FACTOR).times(pattern.scaled(REGEX_FACTOR))


def _find(overload: str, target: Operand | None, args: Operands) -> CallEstimate | None:
    if target is None or not args:
        return None
    size = target.sized()
    return CallEstimate(_regex(size, args[0].sized()), Range(0, size.max))


def _matches(overload: str, target: Operand | None, args: Operands) -> CallEstimate | None:
    if target is None or len(args) != 1:
        return None
    return CallEstimate(_regex(target.sized(), args[0].sized()), None)


def _ip(overload: str, target: Operand | None, args: Operands) -> CallEstimate | None:
    if overload == "cidr_ip":
        return CallEstimate(ONE, None)
    return CallEstimate(args[0].sized().scaled(STRING_FACTOR), None) if args else None


def _contains_address(overload: str, target: Operand | None, args: Operands) -> CallEstimate | None:
    size = Range(4, 16)
    cost = size.plus(size).scaled(STRING_FACTOR)
    if overload.startswith("cidr_contains_cidr"):
        cost = cost.plus(size.scaled(STRING_FACTOR)).plus(ONE)
    if overload.endswith("_string"):
        cost = cost.plus(args[0].sized().scaled(STRING_FACTOR))
    return CallEstimate(cost, None)


def _validate(overload: str, target: Operand | None, args: Operands) -> CallEstimate:
    return CallEstimate(
        args[0].sized().scaled(STRING_FACTOR).scaled(FORMAT_REGEX_SIZE * REGEX_FACTOR), None
    )


def _equality(overload: str, target: Operand | None, args: Operands) -> CallEstimate | None:
    left, right = args
    if not same(left.type, right.type) or left.type.kind not in ("opaque", "struct"):
        return None
    if left.type.name in _UNIT_EQUALITY:
        return CallEstimate(ONE, None)
    if left.type.name == "kubernetes.NamedFormat":
        return CallEstimate(Range(1, 64).scaled(STRING_FACTOR), None)
    if left.type.name == "kubernetes.URL":
        most = 1 if right.size is None else right.size.max
        return CallEstimate(Range(1, most).scaled(STRING_FACTOR), None)
    return None


_UNIT_EQUALITY = frozenset(
    (
        "net.IP",
        "net.CIDR",
        "kubernetes.Quantity",
        "kubernetes.Semver",
        *tuple(
            f"kubernetes.authorization.{name}"
            for name in ("Authorizer", "PathCheck", "GroupCheck", "ResourceCheck", "Decision")
        ),
    )
)


def _of_argument(grow: Callable[[Range], Range] | None = None) -> Estimator:
    def estimator(overload: str, target: Operand | None, args: Operands) -> CallEstimate | None:
        if len(args) != 1:
            return None
        size = args[0].sized()
        return CallEstimate(size.scaled(STRING_FACTOR), None if grow is None else grow(size))

    return estimator


def _format(overload: str, target: Operand | None, args: Operands) -> CallEstimate | None:
    return None if target is None else CallEstimate(target.sized().scaled(STRING_FACTOR), None)


def _contains(overload: str, target: Operand | None, args: Operands) -> CallEstimate | None:
    if target is None:
        return None
    return CallEstimate(
        target.sized().scaled(STRING_FACTOR).times(args[0].sized().scaled(STRING_FACTOR)), None
    )


def _in_list(overload: str, target: Operand | None, args: Operands) -> CallEstimate:
    return CallEstimate(args[1].sized().scaled(1.0), None)


def _concatenation(overload: str, target: Operand | None, args: Operands) -> CallEstimate:
    size = args[0].sized().plus(args[1].sized())
    return CallEstimate(ONE if overload == "add_list" else size.scaled(STRING_FACTOR), size)


def _pairs(factor: float) -> Estimator:
    def estimator(overload: str, target: Operand | None, args: Operands) -> CallEstimate:
        pairs = args[0].sized().times(args[1].sized())
        return CallEstimate(pairs.scaled(factor).plus(ONE), None)

    return estimator


def _building(factor: float, size: Range) -> CallEstimate:
    return CallEstimate(size.scaled(factor).plus(exactly(1 + LIST_COST)), size)


def _literal_or(operand: Operand, otherwise: int) -> int:
    value = operand.node.value if isinstance(operand.node, Literal) else None
    return max(value, 0) if type(value) is int else otherwise


def _slice(overload: str, target: Operand | None, args: Operands) -> CallEstimate | None:
    if target is None:
        return None
    end = _literal_or(args[1], target.sized().max)
    return _building(1.0, exactly((end - _literal_or(args[0], 0)) % 2**64))


def _range(overload: str, target: Operand | None, args: Operands) -> CallEstimate:
    return _building(1.0, exactly(_literal_or(args[0], MOST)))


def _reverse(overload: str, target: Operand | None, args: Operands) -> CallEstimate | None:
    return None if target is None else _building(1.0, target.sized())


def _flatten(overload: str, target: Operand | None, args: Operands) -> CallEstimate | None:
    depth = _literal_or(args[0], MOST) if args else 1
    return None if target is None else _building(float(depth), target.sized())


def _ordering(position: int, factor: float) -> Estimator:
    def estimator(overload: str, target: Operand | None, args: Operands) -> CallEstimate | None:
        if target is None:
            return None
        size = (args[0] if position else target).sized()
        return _building(factor, size.times(size))

    return estimator


def _sorting(kind: str, position: int) -> Estimator:
    return _ordering(position, 2.0 + (STRING_FACTOR if kind in ("string", "bytes") else 0.0))


_COMPARABLE = ("int", "uint", "double", "bool", "duration", "timestamp", "string", "bytes")


def _comparison(overload: str, target: Operand | None, args: Operands) -> CallEstimate:
    smallest = min(args[0].sized().max, args[1].sized().max)
    return CallEstimate(Range(1 if smallest > 0 else 0, smallest).scaled(STRING_FACTOR), None)


_BY_FUNCTION: dict[str, Estimator] = {
    "check": _fixed(CHECK_COST),
    "fieldSelector": _selector,
    "labelSelector": _selector,
    **dict.fromkeys(
        ("isSorted", "sum", "max", "min", "indexOf", "lastIndexOf", "includes"), _searching
    ),
    **dict.fromkeys(("url", "jsonpatch.escapeKey"), _parsing(STRING_FACTOR, keeps_size=True)),
    **dict.fromkeys(("lowerAscii", "upperAscii", "substring", "trim"), _rewriting),
    "replace": _replace,
    "split": _split,
    "join": _join,
    "find": _find,
    "findAll": _find,
    **dict.fromkeys(
        ("cidr", "isIP", "isCIDR", "quantity", "isQuantity", "semver", "isSemver"),
        _parsing(STRING_FACTOR),
    ),
    "ip": _ip,
    "ip.isCanonical": _parsing(2 * STRING_FACTOR),
    "containsIP": _contains_address,
    "containsCIDR": _contains_address,
    "validate": _validate,
    "_==_": _equality,
}
_BY_OVERLOAD: dict[str, Estimator] = {
    "string_format": _format,
    "string_to_bytes": _of_argument(lambda size: Range(size.min, min(size.max * 4, MOST))),
    "bytes_to_string": _of_argument(lambda size: Range(size.min // 4, size.max)),
    "strings_quote": _of_argument(lambda size: Range(size.min + 2, min(size.max * 2 + 2, MOST))),
    "starts_with_string": _of_argument(),
    "ends_with_string": _of_argument(),
    **dict.fromkeys(("list_sets_contains_list", "list_sets_intersects_list"), _pairs(1.0)),
    "list_sets_equivalent_list": _pairs(2.0),
    "list_slice": _slice,
    "lists_range": _range,
    "list_reverse": _reverse,
    **dict.fromkeys(("list_flatten", "list_flatten_int"), _flatten),
    "list_distinct": _ordering(0, 2.0),
    **{f"list_{kind}_sort": _sorting(kind, 0) for kind in _COMPARABLE},
    **{f"list_{kind}_sortByAssociatedKeys": _sorting(kind, 1) for kind in _COMPARABLE},
    "in_list": _in_list,
    "matches_string": _matches,
    "contains_string": _contains,
    **dict.fromkeys(("add_string", "add_bytes", "add_list"), _concatenation),
    **dict.fromkeys(
        (
            "equals",
            "not_equals",
            *(
                f"{name}_{kind}"
                for name in ("less", "less_equals", "greater", "greater_equals")
                for kind in ("string", "bytes")
            ),
        ),
        _comparison,
    ),
}
