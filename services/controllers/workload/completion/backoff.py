"""How long a Job waits after failures before it makes new pods: 10 s, 20 s, … up to 10 min."""

from collections.abc import Iterable
from dataclasses import dataclass

from pilothouse.services.controllers.workload.completion import members
from pilothouse.services.machinery.kinds.pods import Pod

FIRST_SECONDS = 10.0
SECONDS_MAX = 600.0
_DOUBLINGS_MAX = 10


@dataclass(frozen=True, slots=True)
class Backoff:
    """Failures since the last success; ``seen`` are the uids of pods that are in it already."""

    failures: int = 0
    last_failure: float | None = None
    seen: frozenset[str] = frozenset()


NONE = Backoff()


def after(before: Backoff, succeeded: Iterable[Pod], failed: Iterable[Pod]) -> Backoff:
    """With those that ended and were not seen before."""
    wins, losses = tuple(succeeded), tuple(failed)
    seen = frozenset(pod.metadata.uid for pod in (*wins, *losses))
    won = [members.ended_at(pod) for pod in wins if pod.metadata.uid not in before.seen]
    lost = [members.ended_at(pod) for pod in losses if pod.metadata.uid not in before.seen]
    failures, last = before.failures, before.last_failure
    if won:
        lost = [end for end in lost if end > max(won)]
        failures, last = 0, None
    if lost:
        failures, last = failures + len(lost), max(lost)
    return Backoff(failures, last, seen)


def seconds_left(failures: int, last_failure: float | None, now: float) -> float:
    """Seconds until new pods may be made; 0 for at once."""
    if failures == 0 or last_failure is None:
        return 0.0
    wait = min(FIRST_SECONDS * (1 << min(failures - 1, _DOUBLINGS_MAX)), SECONDS_MAX)
    return max(wait - (now - last_failure), 0.0)


def seconds_left_of_index(replaced: Pod | None, now: float) -> float:
    """The same for one index, whose last failed pod is ``replaced``."""
    if replaced is None:
        return 0.0
    before = members.failures_of(replaced) + members.ignored_failures_of(replaced)
    return seconds_left(before + 1, members.ended_at(replaced), now)
