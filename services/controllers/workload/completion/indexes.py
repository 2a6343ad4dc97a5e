"""How the indexes of an indexed Job stand."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pilothouse.services.controllers.workload.completion import intervals, members, policies
from pilothouse.services.controllers.workload.completion.intervals import Intervals
from pilothouse.services.controllers.workload.completion.members import Members
from pilothouse.services.machinery.kinds.jobs import Job
from pilothouse.services.machinery.kinds.pods import Pod


@dataclass(frozen=True, slots=True)
class Indexes:
    """``before`` is what the status says has succeeded, ``succeeded`` what has.

    ``failed`` is None unless each index has a limit of its own. ``replaced`` are failed pods whose
    successor is not there yet: they keep their finalizer, since the successor takes over their
    count of failures.
    """

    before: Intervals
    succeeded: Intervals
    failed: Intervals | None
    replaced: Mapping[int, Pod] = field(default_factory=dict)


def indexes(job: Job, crew: Members) -> Indexes:
    """Only pods that are not counted yet add to what the status says."""
    completions = job.spec.completions or 0
    before = intervals.parse(job.status.completed_indexes, completions)
    counting = [pod for pod in crew.tracked if members.counts(job, pod)]
    lost = intervals.parse(job.status.failed_indexes or "", completions)
    won = [pod for pod in counting if members.has_won(job, pod)]
    succeeded = intervals.union(before, occupied(_outside(lost, won)))
    if job.spec.backoff_limit_per_index is None:
        return Indexes(before, succeeded, None)
    gone = [pod for pod in counting if policies.fails_index(job, pod)]
    failed = intervals.union(lost, occupied(_outside(succeeded, gone)))
    settled = intervals.union(succeeded, failed, occupied(crew.active))
    replaced: dict[int, Pod] = {}
    for pod in counting:
        index = members.index_of(pod)
        if index is None or not members.is_failed(job, pod) or intervals.contains(settled, index):
            continue
        known = replaced.get(index)
        if known is None or _later(pod, known):
            replaced[index] = pod
    return Indexes(before, succeeded, failed, replaced)


def occupied(pods: Iterable[Pod]) -> Intervals:
    """The indexes that these pods have."""
    found = (members.index_of(pod) for pod in pods)
    return intervals.of({index for index in found if index is not None})


def _outside(known: Intervals, pods: Iterable[Pod]) -> list[Pod]:
    """Those whose index is not in ``known``: an index ends in one way only."""
    return [pod for pod in pods if not intervals.contains(known, members.index_of(pod) or 0)]


def _later(pod: Pod, known: Pod) -> bool:
    return _tries(known) <= _tries(pod) and members.ended_at(pod) >= members.ended_at(known)


def _tries(pod: Pod) -> int:
    return members.failures_of(pod) + members.ignored_failures_of(pod)
