"""Quantities: ``100m``, ``1.5``, ``2Gi``, ``1e3`` (resource.Quantity)."""

import re
from decimal import ROUND_CEILING, Decimal

_BINARY = {
    suffix: Decimal(1024) ** power
    for power, suffix in enumerate(("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"))
}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_FORM = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([KMGTPE]i)|([numkMGTPE]?)|[eE]([+-]?\d{1,3}))")


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


def ceiling(text: str | int | float) -> int:
    """Whole units, rounded up: bytes of memory, pods."""
    return int(parse(text).to_integral_value(ROUND_CEILING))


def milli(text: str | int | float) -> int:
    """Thousandths, rounded up: CPU."""
    return int((parse(text) * 1000).to_integral_value(ROUND_CEILING))
