"""What a Job's status says once a step is taken."""

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from pilothouse.services.controllers.workload.completion import tally
from pilothouse.services.controllers.workload.completion.tally import Tally
from pilothouse.services.controllers.workload.completion.verdict import Verdict
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.kinds import jobs
from pilothouse.services.machinery.kinds.jobs import Job, JobCondition, JobStatus

Conditions = tuple[JobCondition, ...]


@dataclass(frozen=True, slots=True)
class Numbers:
    """Pods once the step is taken."""

    active: int
    ready: int
    terminating: int


def status(job: Job, numbers: Numbers, count: Tally, end: Verdict | None, now: float) -> JobStatus:
    """With the counters of ``count``; the Job ends only when nothing is left to count."""
    present = msgspec.structs.replace(
        count.status,
        active=numbers.active,
        ready=numbers.ready,
        terminating=numbers.terminating,
    )
    stamp = timestamps.render(now)
    if present.start_time is None and not job.spec.suspend:
        present = msgspec.structs.replace(present, start_time=stamp)
    if end is None:
        return present if job.metadata.deleting else _rested(job, present, stamp)
    said = JobCondition(type=end.target, status="True", reason=end.reason, message=end.message)
    present = msgspec.structs.replace(present, conditions=_with(present.conditions, said, stamp))
    waiting = numbers.active or numbers.terminating or count.untrack
    if waiting or jobs.condition(job, end.target) is None or not tally.is_counted(present):
        return present
    said = msgspec.structs.replace(said, type=end.end)
    return msgspec.structs.replace(
        present,
        conditions=_with(present.conditions, said, stamp),
        start_time=present.start_time or stamp,  # one that ends at rest has no other
        completion_time=stamp if end.is_success else present.completion_time,
    )


def _rested(job: Job, present: JobStatus, stamp: str) -> JobStatus:
    """Suspended, its clock is put back, so that it starts anew when resumed."""
    if job.spec.suspend:
        said = JobCondition(
            type=jobs.SUSPENDED, status="True", reason="JobSuspended", message="Job suspended"
        )
        start = None
    else:
        if all(item.type != jobs.SUSPENDED for item in present.conditions):
            return present
        said = JobCondition(
            type=jobs.SUSPENDED, status="False", reason="JobResumed", message="Job resumed"
        )
        start = present.start_time  # it was put back, and one that somebody set may not change
    told = _with(present.conditions, said, stamp)
    if told == present.conditions:
        return present
    return msgspec.structs.replace(present, conditions=told, start_time=start)


def _with(conditions: Iterable[JobCondition], said: JobCondition, stamp: str) -> Conditions:
    """``conditions`` with ``said`` in its type's place; untouched when they say so already."""
    before = tuple(conditions)
    timed = msgspec.structs.replace(said, last_probe_time=stamp, last_transition_time=stamp)
    old = next((item for item in before if item.type == said.type), None)
    if old is None:
        return (*before, timed)
    if (old.status, old.reason, old.message) == (said.status, said.reason, said.message):
        return before
    return tuple(timed if item is old else item for item in before)
