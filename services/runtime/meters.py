"""What a process counts of itself as it goes: counters and histograms with labels."""

from bisect import bisect_left
from collections.abc import Container, Iterator, Sequence
from typing import Generic, TypeVar

from pilothouse.services.runtime.exposition import Family, Labels

SERIES_MAX = 4096
"""Of one meter; what would be more is counted as ``other``."""
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Prometheus' own bounds of spans of time."""


V = TypeVar("V")


class _Series(Generic[V]):
    """Values by those of their labels, of a bounded number."""

    def __init__(self, name: str, told: str, labels: Sequence[str]) -> None:
        self.name = name
        self._told = told
        self._names = tuple(labels)
        self._values: dict[tuple[str, ...], V] = {}

    def _key(self, values: tuple[str, ...]) -> tuple[str, ...]:
        if values in self._values:
            return values
        if len(values) != len(self._names):
            raise ValueError(f"{self.name} has the labels {self._names}, not {values}")
        return values if len(self._values) < SERIES_MAX else ("other",) * len(values)

    def _labels(self, key: tuple[str, ...]) -> Labels:
        return tuple(sorted(zip(self._names, key, strict=True)))

    def keep(self, label: str, wanted: Container[str]) -> None:
        """Forget series whose ``label`` is not ``wanted``."""
        place = self._names.index(label)
        self._values = {key: value for key, value in self._values.items() if key[place] in wanted}


class Counter(_Series[float]):
    """Only grows."""

    def __init__(self, name: str, told: str, labels: Sequence[str] = ()) -> None:
        super().__init__(name, told, labels)
        if not labels:
            self._values[()] = 0.0

    def add(self, *values: str, by: float = 1.0) -> None:
        """Count ``by`` more of these labels' values."""
        key = self._key(values)
        self._values[key] = self._values.get(key, 0.0) + by

    def family(self) -> Family:
        """As it is shown."""
        made = Family(self.name, "counter", self._told)
        for key, value in self._values.items():
            made.add(value, *self._labels(key))
        return made


class Gauge(_Series[float]):
    """Goes up and down."""

    def __init__(self, name: str, told: str, labels: Sequence[str] = ()) -> None:
        super().__init__(name, told, labels)

    def set(self, value: float, *values: str) -> None:
        """It is this now."""
        self._values[self._key(values)] = value

    def add(self, *values: str, by: float = 1.0) -> None:
        """Change it."""
        self.set(self._values.get(values, 0.0) + by, *values)

    def family(self) -> Family:
        """As it is shown."""
        made = Family(self.name, "gauge", self._told)
        for key, value in self._values.items():
            made.add(value, *self._labels(key))
        return made


class _Counts:
    __slots__ = ("counts", "total")

    def __init__(self, buckets: int) -> None:
        self.counts = [0] * buckets
        self.total = 0.0


class Histogram(_Series[_Counts]):
    """How often something was how much."""

    def __init__(
        self, name: str, told: str, labels: Sequence[str] = (), bounds: Sequence[float] = SECONDS
    ) -> None:
        super().__init__(name, told, labels)
        self._bounds = tuple(bounds)
        if not labels:
            self._values[()] = _Counts(len(self._bounds) + 1)

    def observe(self, amount: float, *values: str) -> None:
        """Once more, this much."""
        key = self._key(values)
        counts = self._values.setdefault(key, _Counts(len(self._bounds) + 1))
        counts.counts[bisect_left(self._bounds, amount)] += 1
        counts.total += amount

    def family(self) -> Family:
        """As it is shown."""
        made = Family(self.name, "histogram", self._told)
        for key, counts in self._values.items():
            made.observe(self._bounds, counts.counts, counts.total, self._labels(key))
        return made


def families(holder: object) -> Iterator[Family]:
    """Of every meter among the attributes of ``holder``."""
    for meter in vars(holder).values():
        if isinstance(meter, (Counter, Gauge, Histogram)):
            yield meter.family()
