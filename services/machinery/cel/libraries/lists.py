"""Functions on lists, of Kubernetes and of upstream's extension library, and on lists as sets."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from pilothouse.services.machinery.cel.declarations import declare
from pilothouse.services.machinery.cel.errors import EvaluationError
from pilothouse.services.machinery.cel.libraries import standard
from pilothouse.services.machinery.cel.values import Duration, Uint, equal, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable

_SUMMABLE = ("int", "uint", "double", "duration")
_COMPARABLE = ("int", "uint", "double", "bool", "duration", "timestamp", "string", "bytes")
_MAX_RANGE = 1_000_000


def _typed() -> str:
    lines = [f"list_{t}_sum_{t}: list({t}) .sum() -> {t}" for t in _SUMMABLE]
    for t in _COMPARABLE:
        lines += [
            f"list_{t}_is_sorted_bool: list({t}) .isSorted() -> bool",
            f"list_{t}_max_{t}: list({t}) .max() -> {t}",
            f"list_{t}_min_{t}: list({t}) .min() -> {t}",
            f"list_{t}_sort: list({t}) .sort() -> list({t})",
            f"list_{t}_sortByAssociatedKeys: list(A) .@sortByAssociatedKeys(list({t})) -> list(A)",
        ]
    return "\n".join(lines)


DECLARATIONS = declare(
    """
list_a_index_of_int: list(A) .indexOf(A) -> int
list_a_last_index_of_int: list(A) .lastIndexOf(A) -> int
list_slice: list(A) .slice(int, int) -> list(A)
list_flatten: list(list(A)) .flatten() -> list(A)
list_flatten_int: list(dyn) .flatten(int) -> list(dyn)
lists_range: lists.range(int) -> list(int)
list_reverse: list(A) .reverse() -> list(A)
list_distinct: list(A) .distinct() -> list(A)
list_sets_contains_list: sets.contains(list(A), list(A)) -> bool
list_sets_equivalent_list: sets.equivalent(list(A), list(A)) -> bool
list_sets_intersects_list: sets.intersects(list(A), list(A)) -> bool
"""
    + _typed()
)


def _comparable(values: list[Any], name: str) -> str:
    """The kind that all elements share."""
    kinds = set(map(kind_of, values))
    if len(kinds) > 1 or not kinds <= set(_COMPARABLE):
        raise EvaluationError(
            f"{name}: list elements must have the same type" if name else "no such overload"
        )
    return kinds.pop() if kinds else ""


def _is_sorted(values: list[Any]) -> bool:
    _comparable(values, "")
    return not any(second < first for first, second in pairwise(values))


def _sum(kind: str, zero: Any) -> Callable[[list[Any]], Any]:
    stem = {"int": "int64", "uint": "uint64", "duration": "duration_duration"}.get(kind, kind)
    add = standard.IMPLEMENTATIONS[f"add_{stem}"]

    def total(values: list[Any]) -> Any:
        result = zero
        for value in values:
            if kind_of(value) != kind:
                raise EvaluationError("no such overload")
            result = add(result, value)
        return result

    return total


def _extreme(choose: Callable[[list[Any]], Any], name: str) -> Callable[[list[Any]], Any]:
    def extreme(values: list[Any]) -> Any:
        if not values:
            raise EvaluationError(f"{name} called on empty list")
        _comparable(values, "")
        return choose(values)

    return extreme


def _index_of(values: list[Any], wanted: Any) -> int:
    return next((i for i, value in enumerate(values) if equal(value, wanted)), -1)


def _last_index_of(values: list[Any], wanted: Any) -> int:
    return next((i for i in range(len(values) - 1, -1, -1) if equal(values[i], wanted)), -1)


def _slice(values: list[Any], start: int, end: int) -> list[Any]:
    if start < 0 or end < 0:
        raise EvaluationError(f"cannot slice({start}, {end}), negative indexes not supported")
    if start > end:
        raise EvaluationError(
            f"cannot slice({start}, {end}), start index must be less than or equal to end index"
        )
    if end > len(values):
        raise EvaluationError(f"cannot slice({start}, {end}), list is length {len(values)}")
    return values[start:end]


def _flatten(values: list[Any], depth: int = 1) -> list[Any]:
    if depth < 0:
        raise EvaluationError("level must be non-negative")
    result: list[Any] = []
    for value in values:
        if isinstance(value, list) and depth > 0:
            result.extend(_flatten(value, depth - 1))
        else:
            result.append(value)
    return result


def _sort(values: list[Any]) -> list[Any]:
    _comparable(values, "sort")
    return sorted(values)


def _sort_by_keys(values: list[Any], keys: list[Any]) -> list[Any]:
    _comparable(keys, "sortByAssociatedKeys")
    if len(values) != len(keys):
        raise EvaluationError(
            "@sortByAssociatedKeys() expected a list of the same size as the associated keys list, "
            f"but got {len(values)} and {len(keys)} elements respectively"
        )
    order = sorted(range(len(values)), key=keys.__getitem__)
    return [values[i] for i in order]


def _range(count: int) -> list[int]:
    if count > _MAX_RANGE:
        raise EvaluationError(f"lists.range: size exceeds the limit of {_MAX_RANGE}")
    return list(range(count))


def _distinct(values: list[Any]) -> list[Any]:
    result: list[Any] = []
    for value in values:
        if not any(equal(value, seen) for seen in result):
            result.append(value)
    return result


def _includes_all(values: list[Any], wanted: list[Any]) -> bool:
    return all(any(equal(value, item) for value in values) for item in wanted)


IMPLEMENTATIONS: dict[str, Callable[..., Any]] = {
    "list_a_index_of_int": _index_of,
    "list_a_last_index_of_int": _last_index_of,
    "list_slice": _slice,
    "list_flatten": _flatten,
    "list_flatten_int": _flatten,
    "lists_range": _range,
    "list_reverse": lambda values: values[::-1],
    "list_distinct": _distinct,
    "list_sets_contains_list": _includes_all,
    "list_sets_equivalent_list": lambda a, b: _includes_all(a, b) and _includes_all(b, a),
    "list_sets_intersects_list": lambda a, b: any(equal(x, y) for x in a for y in b),
}
for _kind in _COMPARABLE:
    IMPLEMENTATIONS |= {
        f"list_{_kind}_is_sorted_bool": _is_sorted,
        f"list_{_kind}_max_{_kind}": _extreme(max, "max"),
        f"list_{_kind}_min_{_kind}": _extreme(min, "min"),
        f"list_{_kind}_sort": _sort,
        f"list_{_kind}_sortByAssociatedKeys": _sort_by_keys,
    }
for _kind, _zero in (("int", 0), ("uint", Uint(0)), ("double", 0.0), ("duration", Duration(0))):
    IMPLEMENTATIONS[f"list_{_kind}_sum_{_kind}"] = _sum(_kind, _zero)
