"""How many pods a Job runs: which are to be made, and which are too many."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pilothouse.services.controllers.workload.completion import (
    backoff,
    indexes,
    intervals,
    members,
    policies,
)
from pilothouse.services.controllers.workload.completion.backoff import Backoff
from pilothouse.services.controllers.workload.completion.indexes import Indexes
from pilothouse.services.controllers.workload.completion.members import Members
from pilothouse.services.machinery.kinds import jobs, replicas
from pilothouse.services.machinery.kinds.jobs import Job
from pilothouse.services.machinery.kinds.pods import Pod

BURST_MAX = 500
_WAIT_SECONDS_MIN = 1.0


@dataclass(frozen=True, slots=True)
class Birth:
    """A pod to be made; ``failures`` of its index so far are written down when there is a limit."""

    index: int | None = None
    failures: int | None = None
    failures_ignored: int = 0


@dataclass(frozen=True, slots=True)
class Sizes:
    """One step: pods to retire or else pods to make, and when to look again."""

    retire: tuple[Pod, ...] = ()
    create: tuple[Birth, ...] = ()
    again_after: float | None = None


NOTHING = Sizes()


def sizes(
    job: Job, crew: Members, standing: Indexes | None, succeeded: int, history: Backoff, now: float
) -> Sizes:
    """``succeeded`` counts the new ones as well."""
    active = len(crew.active)
    if job.spec.suspend:
        return Sizes(retire=_ranked(crew.active)[:BURST_MAX])
    want = _wanted(job, active, succeeded)
    retire = _surplus(job, crew.active, active - want)[:BURST_MAX]
    if retire:
        return Sizes(retire=retire)
    going = len(crew.terminating) if jobs.replaces_failed_only(job) else 0
    missing = min(want - active - going, BURST_MAX)
    if missing <= 0:
        return NOTHING
    if job.spec.backoff_limit_per_index is None:
        left = backoff.seconds_left(history.failures, history.last_failure, now)
        if left > 0:
            return Sizes(again_after=max(left, _WAIT_SECONDS_MIN))
    if standing is None:
        return Sizes(create=(Birth(),) * missing)
    return _of_indexes(job, crew, standing, missing, now)


def _wanted(job: Job, active: int, succeeded: int) -> int:
    if job.spec.completions is None:
        return active if succeeded else job.spec.parallelism
    return max(min(job.spec.completions - succeeded, job.spec.parallelism), 0)


def _of_indexes(job: Job, crew: Members, standing: Indexes, missing: int, now: float) -> Sizes:
    going = crew.terminating if jobs.replaces_failed_only(job) else ()
    taken = intervals.union(
        standing.succeeded,
        standing.failed or (),
        indexes.occupied(crew.active),
        indexes.occupied(going),
    )
    create: list[Birth] = []
    waits: list[float] = []
    for index in intervals.absent(taken, job.spec.completions or 0, missing):
        replaced = standing.replaced.get(index)
        left = backoff.seconds_left_of_index(replaced, now)
        if left > 0:
            waits.append(left)
        else:
            create.append(_birth(job, index, replaced))
    again = max(min(waits), _WAIT_SECONDS_MIN) if waits else None
    return Sizes(create=tuple(create), again_after=again)


def _birth(job: Job, index: int, replaced: Pod | None) -> Birth:
    if job.spec.backoff_limit_per_index is None:
        return Birth(index)
    if replaced is None:
        return Birth(index, 0)
    failures = members.failures_of(replaced)
    ignored = members.ignored_failures_of(replaced)
    if policies.judge(job, replaced).counts:
        return Birth(index, failures + 1, ignored)
    return Birth(index, failures, ignored + 1)


def _surplus(job: Job, active: Sequence[Pod], count: int) -> tuple[Pod, ...]:
    """Those whose loss costs least; pods with no index, or one that another has, at any rate."""
    retire: list[Pod] = []
    left: list[Pod] = list(active)
    if jobs.is_indexed(job):
        kept: dict[int, Pod] = {}
        for pod in reversed(_ranked(active)):
            index = members.index_of(pod)
            if index is None or not members.counts(job, pod) or index in kept:
                retire.append(pod)
            else:
                kept[index] = pod
        left = list(kept.values())
    more = max(count - len(retire), 0)
    return (*retire, *_ranked(left)[:more])


def _ranked(pods: Sequence[Pod]) -> tuple[Pod, ...]:
    crowd: Counter[str] = Counter()
    return tuple(sorted(pods, key=lambda pod: replicas.deletion_rank(pod, crowd)))
