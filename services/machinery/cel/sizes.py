"""Ranges of sizes and costs; arithmetic stops at the largest unsigned 64 bit integer."""

from __future__ import annotations

import math
from typing import NamedTuple

MOST = 2**64 - 1


class Range(NamedTuple):
    """A least and a most of a size or a cost."""

    min: int
    max: int

    def plus(self, other: Range) -> Range:
        """The sums."""
        return Range(min(self.min + other.min, MOST), min(self.max + other.max, MOST))

    def times(self, other: Range) -> Range:
        """The products."""
        return Range(min(self.min * other.min, MOST), min(self.max * other.max, MOST))

    def scaled(self, factor: float) -> Range:
        """Each times a factor, rounded up."""
        return Range(_scale(self.min, factor), _scale(self.max, factor))

    def union(self, other: Range) -> Range:
        """The range that includes both."""
        return Range(min(self.min, other.min), max(self.max, other.max))


def _scale(value: int, factor: float) -> int:
    product = float(value) * factor
    return MOST if product >= float(MOST) else math.ceil(product)


def exactly(value: int) -> Range:
    """The range of one number."""
    return Range(value, value)


UNKNOWN = Range(0, MOST)
NOTHING = exactly(0)
ONE = exactly(1)
EMPTY_UNION = Range(MOST, 0)
