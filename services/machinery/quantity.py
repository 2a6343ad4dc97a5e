"""Quantities: ``100m``, ``1.5``, ``2Gi``, ``1e3`` (resource.Quantity)."""

import re
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache

_BINARY = {
    suffix: Decimal(1024) ** power
    for power, suffix in enumerate(("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"))
}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_FORM = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([KMGTPE]i)|([numkMGTPE]?)|[eE]([+-]?\d{1,3}))")


@lru_cache(maxsize=4096)
def parse(text: str | int | float) -> Decimal:
    """The exact value; ValueError with Kubernetes' words when it is none."""
    match = _FORM.fullmatch(str(text))
    if match is None:
        raise ValueError(
            "quantities must match the regular expression "
            "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
        )
    number, binary, decimal, exponent = match.groups()
    if binary:
        return Decimal(number) * _BINARY[binary]
    power = int(exponent) if exponent else _DECIMAL[decimal or ""]
    return Decimal(number).scaleb(power)


@lru_cache(maxsize=4096)
def ceiling(text: str | int | float) -> int:
    """Whole units, rounded up: bytes of memory, pods."""
    return int(parse(text).to_integral_value(ROUND_CEILING))


@lru_cache(maxsize=4096)
def milli(text: str | int | float) -> int:
    """Thousandths, rounded up: CPU."""
    return int((parse(text) * 1000).to_integral_value(ROUND_CEILING))


_EXPONENTS = {0: "", 1: "Ki", 2: "Mi", 3: "Gi", 4: "Ti", 5: "Pi", 6: "Ei"}
_PREFIXES = {power: suffix for suffix, power in _DECIMAL.items()}
_PRECISION = Decimal("1e-9")


@lru_cache(maxsize=4096)
def canonical(text: str | int | float) -> str:
    """The one spelling that the API keeps: ``1000m`` is ``1``, ``1024Mi`` is ``1Gi``.

    No fraction, the largest suffix that allows it, in the family (binary, decimal, exponent) that
    was written. Finer than a billionth is rounded up. ValueError when it is no quantity.
    """
    value = parse(text)
    match = _FORM.fullmatch(str(text))
    assert match is not None  # noqa: S101 - parse has matched it
    value = (value / _PRECISION).to_integral_value(ROUND_CEILING) * _PRECISION
    if match[2] and abs(value) >= 1024 and value == value.to_integral_value():  # noqa: PLR2004 - Ki
        return _binary(int(value))
    if value == 0:
        return "0"
    return _decimal(value, exponent=match[4] is not None)


def render(value: Decimal, *, binary: bool = False) -> str:
    """A computed amount in the one spelling of its family; finer than a billionth goes up."""
    value = (value / _PRECISION).to_integral_value(ROUND_CEILING) * _PRECISION
    if value == 0:
        return "0"
    if binary and abs(value) >= 1024 and value == value.to_integral_value():  # noqa: PLR2004 - Ki
        return _binary(int(value))
    return _decimal(value, exponent=False)


def _binary(value: int) -> str:
    power = 0
    while value % 1024 == 0 and power + 1 in _EXPONENTS:
        value //= 1024
        power += 1
    return f"{value}{_EXPONENTS[power]}"


def _decimal(value: Decimal, *, exponent: bool) -> str:
    power = 18
    while value.scaleb(-power) != value.scaleb(-power).to_integral_value():
        power -= 3
    number = int(value.scaleb(-power))
    if exponent:
        return f"{number}e{power}" if power else str(number)
    return f"{number}{_PREFIXES[power]}"
