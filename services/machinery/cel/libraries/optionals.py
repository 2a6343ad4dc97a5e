"""Optional values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pilothouse.services.machinery.cel.declarations import declare
from pilothouse.services.machinery.cel.errors import EvaluationError
from pilothouse.services.machinery.cel.operations import optional_element
from pilothouse.services.machinery.cel.values import NONE, Duration, Optional, Timestamp

if TYPE_CHECKING:
    from collections.abc import Callable

DECLARATIONS = declare("""
optional_of: optional.of(A) -> optional(A)
optional_ofNonZeroValue: optional.ofNonZeroValue(A) -> optional(A)
optional_none: optional.none() -> optional(A)
optional_value: optional(A) .value() -> A
optional_hasValue: optional(A) .hasValue() -> bool
optional_or_optional: optional(A) .or(optional(A)) -> optional(A)
optional_orValue_value: optional(A) .orValue(A) -> A
list_optindex_optional_int: _[?_](list(A), int) -> optional(A)
optional_list_optindex_optional_int: _[?_](optional(list(A)), int) -> optional(A)
map_optindex_optional_value: _[?_](map(A, B), A) -> optional(B)
optional_map_optindex_optional_value: _[?_](optional(map(A, B)), A) -> optional(B)
list_last: list(A) .last() -> optional(A)
list_first: list(A) .first() -> optional(A)
optional_unwrap: optional.unwrap(list(optional(A))) -> list(A)
optional_unwrapOpt: list(optional(A)) .unwrapOpt() -> list(A)
""")


def _value(optional: Optional) -> Any:
    if optional.present:
        return optional.value
    raise EvaluationError("optional.none() dereference")


def is_zero(value: object) -> bool:
    """Whether a value is its type's zero: 0, empty, null, absent."""
    if isinstance(value, str | bytes | list | Mapping):
        return len(value) == 0
    if isinstance(value, Duration):
        return value.nanos == 0
    if isinstance(value, Optional):
        return not value.present or is_zero(value.value)
    if isinstance(value, Timestamp):
        return value.nanos == -62135596800 * 10**9
    return value is None or (isinstance(value, int | float) and value == 0)


def _of_non_zero(value: object) -> Optional:
    return NONE if is_zero(value) else Optional(value)


def _unwrap(values: list[Any]) -> list[Any]:
    return [item.value for item in values if isinstance(item, Optional) and item.present]


IMPLEMENTATIONS: dict[str, Callable[..., Any]] = {
    "optional_of": Optional,
    "optional_ofNonZeroValue": _of_non_zero,
    "optional_none": lambda: NONE,
    "optional_value": _value,
    "optional_hasValue": lambda optional: optional.present,
    "list_last": lambda values: Optional(values[-1]) if values else NONE,
    "list_first": lambda values: Optional(values[0]) if values else NONE,
    "optional_unwrap": _unwrap,
    "optional_unwrapOpt": _unwrap,
    **dict.fromkeys(
        (
            "list_optindex_optional_int",
            "optional_list_optindex_optional_int",
            "map_optindex_optional_value",
            "optional_map_optindex_optional_value",
        ),
        optional_element,
    ),
}
