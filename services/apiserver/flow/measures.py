"""What priority and fairness has done, counted by level and schema."""

from bisect import bisect_left
from collections import Counter, defaultdict
from dataclasses import dataclass, field

WAIT_BUCKETS = (0.0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0)
Flowing = tuple[str, str]


@dataclass(slots=True)
class Waits:
    """A histogram of seconds."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(WAIT_BUCKETS) + 1))
    seconds: float = 0.0


class Measures:
    """Counts by ``(level, schema)``."""

    def __init__(self) -> None:
        self.dispatched: Counter[Flowing] = Counter()
        self.refused: Counter[tuple[str, str, str]] = Counter()
        self.seats: Counter[Flowing] = Counter()
        self.executing: Counter[Flowing] = Counter()
        self.inqueue: Counter[Flowing] = Counter()
        self.waits: defaultdict[Flowing, Waits] = defaultdict(Waits)

    def began(self, level: str, schema: str, width: int, waited: float = 0.0) -> None:
        """One more runs, on so many seats, after so many seconds in a queue."""
        flowing = (level, schema)
        self.seats[flowing] += width
        self.dispatched[flowing] += 1
        self.executing[flowing] += 1
        waits = self.waits[flowing]
        waits.counts[bisect_left(WAIT_BUCKETS, waited) if waited else 0] += 1
        waits.seconds += waited

    def ended(self, level: str, schema: str, width: int) -> None:
        self.seats[(level, schema)] -= width
        self.executing[(level, schema)] -= 1

    def queued(self, level: str, schema: str) -> None:
        self.inqueue[(level, schema)] += 1

    def dequeued(self, level: str, schema: str) -> None:
        self.inqueue[(level, schema)] -= 1

    def rejected(self, level: str, schema: str, reason: str) -> None:
        self.refused[(level, schema, reason)] += 1
