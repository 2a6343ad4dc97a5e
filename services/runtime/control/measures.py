"""What is counted of a work queue, under the names that Kubernetes gives them when shown."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pilothouse.services.runtime.exposition import Family

if TYPE_CHECKING:
    from pilothouse.services.runtime.control.loop import Loop

BOUNDS = tuple(10.0**power for power in range(-8, 4))
"""Seconds, as client-go's."""


class Spans:
    """How often something took how long."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float] = BOUNDS) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """Once more."""
        self.counts[bisect_left(self._bounds, seconds)] += 1
        self.total += seconds

    def include(self, other: "Spans") -> None:
        """What another of the same bounds observed."""
        self.counts = [
            mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)
        ]
        self.total += other.total


def families(loops: Mapping[str, "Loop"], now: float) -> Iterator[Family]:
    """Of the queues of all loops, by name; ``now`` on the event loop's clock."""
    for name, told, value in (
        ("adds_total", "Keys that became dirty.", lambda queue: queue.adds),
        ("depth", "Keys that wait for a worker.", len),
        ("unfinished_work_seconds", "How long what is worked on has been, together.",
         lambda queue: sum(queue.begun(now))),
        ("longest_running_processor_seconds", "How long the oldest work goes on.",
         lambda queue: max(queue.begun(now), default=0.0)),
    ):  # fmt: skip
        sort: Any = "counter" if name.endswith("_total") else "gauge"
        family = Family(f"workqueue_{name}", sort, told)
        for queue, loop in loops.items():
            family.add(value(loop.queue), ("name", queue))
        yield family
    retries = Family("workqueue_retries_total", "counter", "Keys that failed and wait.")
    for queue, loop in loops.items():
        retries.add(loop.retries, ("name", queue))
    yield retries
    waits = ((queue, loop.queue.waits) for queue, loop in loops.items())
    yield _spans("workqueue_queue_duration_seconds", "From becoming dirty to a worker.", waits)
    works = ((queue, loop.queue.works) for queue, loop in loops.items())
    yield _spans("workqueue_work_duration_seconds", "How long the work on a key took.", works)


def _spans(name: str, told: str, all_: Iterable[tuple[str, Spans]]) -> Family:
    family = Family(name, "histogram", told)
    for queue, spans in all_:
        family.observe(BOUNDS, spans.counts, spans.total, (("name", queue),))
    return family
