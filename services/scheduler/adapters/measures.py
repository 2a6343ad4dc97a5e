"""What the scheduler measures, under Kubernetes' names."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from pilothouse.services.runtime.exposition import Family
from pilothouse.services.scheduler.scheduler import Scheduler


def source(
    scheduler: Scheduler, attempts: Mapping[str, int], profile: str
) -> Callable[[], Iterable[Family]]:
    """Who waits, and what came of ``attempts`` (by result) of this ``profile``."""

    def told() -> Iterator[Family]:
        pending = Family("scheduler_pending_pods", "gauge", "Pods that wait, by part of the queue.")
        for place, count in scheduler.pending().items():
            pending.add(count, ("queue", place))
        yield pending
        tried = Family(
            "scheduler_schedule_attempts_total", "counter", "Decisions, by what they were."
        )
        for result, count in sorted(attempts.items()):
            tried.add(count, ("profile", profile), ("result", result))
        yield tried

    return told
