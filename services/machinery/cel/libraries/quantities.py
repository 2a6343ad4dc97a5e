"""Quantities and semantic versions."""

from __future__ import annotations

import re
from decimal import Context
from functools import total_ordering
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from pilothouse.services.machinery import quantity
from pilothouse.services.machinery.cel.declarations import declare
from pilothouse.services.machinery.cel.errors import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

DECLARATIONS = declare("""
string_to_quantity: quantity(string) -> kubernetes.Quantity
is_quantity_string: isQuantity(string) -> bool
quantity_sign: sign(kubernetes.Quantity) -> int
quantity_is_greater_than: kubernetes.Quantity .isGreaterThan(kubernetes.Quantity) -> bool
quantity_is_less_than: kubernetes.Quantity .isLessThan(kubernetes.Quantity) -> bool
quantity_compare_to: kubernetes.Quantity .compareTo(kubernetes.Quantity) -> int
quantity_get_float: kubernetes.Quantity .asApproximateFloat() -> double
quantity_get_int: kubernetes.Quantity .asInteger() -> int
quantity_is_integer: kubernetes.Quantity .isInteger() -> bool
quantity_add: kubernetes.Quantity .add(kubernetes.Quantity) -> kubernetes.Quantity
quantity_add_int: kubernetes.Quantity .add(int) -> kubernetes.Quantity
quantity_sub: kubernetes.Quantity .sub(kubernetes.Quantity) -> kubernetes.Quantity
quantity_sub_int: kubernetes.Quantity .sub(int) -> kubernetes.Quantity
string_to_semver: semver(string) -> kubernetes.Semver
string_bool_to_semver: semver(string, bool) -> kubernetes.Semver
is_semver_string: isSemver(string) -> bool
is_semver_string_bool: isSemver(string, bool) -> bool
semver_is_greater_than: kubernetes.Semver .isGreaterThan(kubernetes.Semver) -> bool
semver_is_less_than: kubernetes.Semver .isLessThan(kubernetes.Semver) -> bool
semver_compare_to: kubernetes.Semver .compareTo(kubernetes.Semver) -> int
semver_major: kubernetes.Semver .major() -> int
semver_minor: kubernetes.Semver .minor() -> int
semver_patch: kubernetes.Semver .patch() -> int
""")


@total_ordering
class Quantity:
    """An exact amount."""

    __slots__ = ("amount",)

    type_name = "kubernetes.Quantity"
    unit_equality = True

    def __init__(self, amount: Decimal) -> None:
        self.amount = amount

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quantity) and other.amount == self.amount

    @override
    def __hash__(self) -> int:
        return hash(self.amount)

    def __lt__(self, other: Quantity) -> bool:
        return self.amount < other.amount


@total_ordering
class Semver:
    """A version; `key` orders it, build metadata left out."""

    __slots__ = ("key", "numbers")

    type_name = "kubernetes.Semver"
    unit_equality = True

    def __init__(self, numbers: tuple[int, int, int], prerelease: str) -> None:
        self.numbers = numbers
        parts = tuple(
            (0, int(p), "") if p.isdigit() else (1, 0, p) for p in prerelease.split(".") if p
        )
        self.key = (numbers, not parts, parts)

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Semver) and other.key == self.key

    @override
    def __hash__(self) -> int:
        return hash(self.key)

    def __lt__(self, other: Semver) -> bool:
        return self.key < other.key


# More digits than any text of a quantity that fits a request's budget adds up to.
_EXACT = Context(prec=2000)
_FORM = re.compile(r"[+-]?[0-9.]+[eEinumkKMGTP]*[-+]?[0-9]*", re.ASCII)
_NUMBER = r"(0|[1-9]\d*)"
_SEMVER = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}"
    r"(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
    r"(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?",
    re.ASCII,
)
_COMPONENTS = 3


def _normalized(text: str) -> str:
    """Without a leading v and leading zeros, with a minor and patch number."""
    parts = [re.sub(r"^0+(?=\d)", "", part) for part in text.removeprefix("v").split(".", 2)]
    if len(parts) < _COMPONENTS and any(c in parts[-1] for c in "+-"):
        raise EvaluationError("Short version cannot contain PreRelease/Build meta data")
    return ".".join([*parts, *["0"] * (_COMPONENTS - len(parts))])


def _semver(text: str, normalize: bool = False) -> Semver:
    match = _SEMVER.fullmatch(_normalized(text) if normalize else text)
    if match is None:
        raise EvaluationError(f"No Major.Minor.Patch elements found: {text}")
    return Semver((int(match[1]), int(match[2]), int(match[3])), match[4] or "")


def _is_semver(text: str, normalize: bool = False) -> bool:
    try:
        _semver(text, normalize)
    except EvaluationError:
        return False
    return True


def _quantity(text: str) -> Quantity:
    try:
        return Quantity(quantity.parse(text))
    except ValueError as error:
        known = _FORM.fullmatch(text) is not None
        message = "unable to parse quantity's suffix" if known else str(error)
        raise EvaluationError(message) from None


def _is_quantity(text: str) -> bool:
    try:
        quantity.parse(text)
    except ValueError:
        return False
    return True


def _is_integer(value: Quantity) -> bool:
    whole = value.amount == value.amount.to_integral_value()
    return whole and -(2**63) <= int(value.amount) < 2**63


def _as_integer(value: Quantity) -> int:
    if not _is_integer(value):
        raise EvaluationError("cannot convert value to integer")
    return int(value.amount)


def _compare(one: Any, other: Any) -> int:
    return int(one > other) - int(one < other)


IMPLEMENTATIONS: dict[str, Callable[..., Any]] = {
    "string_to_quantity": _quantity,
    "is_quantity_string": _is_quantity,
    "quantity_sign": lambda q: (q.amount > 0) - (q.amount < 0),
    "quantity_get_float": lambda q: float(q.amount),
    "quantity_get_int": _as_integer,
    "quantity_is_integer": _is_integer,
    "quantity_add": lambda a, b: Quantity(_EXACT.add(a.amount, b.amount)),
    "quantity_add_int": lambda a, b: Quantity(_EXACT.add(a.amount, b)),
    "quantity_sub": lambda a, b: Quantity(_EXACT.subtract(a.amount, b.amount)),
    "quantity_sub_int": lambda a, b: Quantity(_EXACT.subtract(a.amount, b)),
    "string_to_semver": _semver,
    "string_bool_to_semver": _semver,
    "is_semver_string": _is_semver,
    "is_semver_string_bool": _is_semver,
    "semver_major": lambda v: v.numbers[0],
    "semver_minor": lambda v: v.numbers[1],
    "semver_patch": lambda v: v.numbers[2],
}
for _type in ("quantity", "semver"):
    IMPLEMENTATIONS |= {
        f"{_type}_is_greater_than": lambda a, b: a > b,
        f"{_type}_is_less_than": lambda a, b: a < b,
        f"{_type}_compare_to": _compare,
    }
