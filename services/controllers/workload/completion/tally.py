"""Counting pods that ended, each exactly once.

::

    pod ended ─▶ its uid in status.uncountedTerminatedPods ─▶ its finalizer goes ─▶ a counter rises

Each arrow is one write, and the next step is taken when the former is seen; wherever a process
dies between two of them, the next one finds out from the status and the finalizer what is done.
Succeeded pods of an indexed Job need no uid: their index in the status tells.
"""

from dataclasses import dataclass

import msgspec

from pilothouse.services.controllers.workload.completion import intervals, members, policies
from pilothouse.services.controllers.workload.completion.indexes import Indexes
from pilothouse.services.controllers.workload.completion.members import Members
from pilothouse.services.controllers.workload.completion.verdict import Verdict
from pilothouse.services.machinery.kinds.jobs import Job, JobStatus, Uncounted
from pilothouse.services.machinery.kinds.pods import Pod

UNCOUNTED_MAX = 500
"""Pods counted in one step; keeps the status small and the Job from starving others."""


@dataclass(frozen=True, slots=True)
class Tally:
    """``untrack`` lose their finalizer once ``status`` is written; ``fresh`` are new in it."""

    status: JobStatus
    untrack: tuple[Pod, ...]
    fresh: tuple[Pod, ...]


def tally(job: Job, crew: Members, standing: Indexes | None, end: Verdict | None) -> Tally:
    """The next step of the count; ``end`` is the verdict over the Job, if there is one."""
    known = job.status.uncounted_terminated_pods or Uncounted()
    tracked = {pod.metadata.uid for pod in crew.tracked}
    succeeded = [uid for uid in known.succeeded if uid in tracked]
    failed = [uid for uid in known.failed if uid in tracked]
    status = msgspec.structs.replace(
        job.status,
        succeeded=job.status.succeeded + len(known.succeeded) - len(succeeded),
        failed=job.status.failed + len(known.failed) - len(failed),
    )
    untrack: list[Pod] = []
    fresh: list[Pod] = []
    for pod in crew.tracked:
        if len(untrack) >= UNCOUNTED_MAX:
            break
        if not _is_over(job, pod, standing, end):
            continue
        untrack.append(pod)
        place = _place(job, pod, end)
        uid = pod.metadata.uid
        if place == "Succeeded" and standing is None and uid not in {*succeeded, *failed}:
            succeeded.append(uid)
            fresh.append(pod)
        elif place == "Failed" and uid not in failed:
            failed.append(uid)
            fresh.append(pod)
    uncounted = Uncounted(succeeded=tuple(succeeded), failed=tuple(failed))
    status = msgspec.structs.replace(status, uncounted_terminated_pods=uncounted)
    return Tally(_with_indexes(status, standing), tuple(untrack), tuple(fresh))


def _is_over(job: Job, pod: Pod, standing: Indexes | None, end: Verdict | None) -> bool:
    """Whether nothing more is expected of the pod, nor of what is written on it."""
    if job.metadata.deleting or end is not None or pod.status.phase == "Succeeded":
        return True
    if not members.is_failed(job, pod):
        return False
    index = members.index_of(pod)
    replaced = standing.replaced.get(index) if standing is not None and index is not None else None
    return replaced is None or replaced.metadata.uid != pod.metadata.uid


def _place(job: Job, pod: Pod, end: Verdict | None) -> str:
    """``Succeeded``, ``Failed`` or nothing: where it counts. A failed Job's last pods failed."""
    if not members.counts(job, pod):
        return ""
    if pod.status.phase == "Succeeded":
        return "Succeeded"
    if not members.is_failed(job, pod) and (end is None or end.is_success):
        return ""
    return "Failed" if policies.judge(job, pod).counts else ""


def _with_indexes(status: JobStatus, standing: Indexes | None) -> JobStatus:
    if standing is None:
        return status
    failed = None if standing.failed is None else intervals.render(standing.failed)
    return msgspec.structs.replace(
        status,
        succeeded=intervals.total(standing.succeeded),
        completed_indexes=intervals.render(standing.succeeded),
        failed_indexes=failed,
    )


def failures(job: Job, crew: Members) -> int:
    """All failed pods that count, whether the counter has them yet or not."""
    known = job.status.uncounted_terminated_pods or Uncounted()
    fresh = sum(policies.judge(job, pod).counts for pod in crew.failed)
    return job.status.failed + len(known.failed) + fresh


def successes(job: Job, crew: Members, standing: Indexes | None) -> int:
    """All succeeded pods, or indexes, whether the counter has them yet or not."""
    if standing is not None:
        return intervals.total(standing.succeeded)
    known = job.status.uncounted_terminated_pods or Uncounted()
    return job.status.succeeded + len(known.succeeded) + len(crew.succeeded)


def is_counted(status: JobStatus) -> bool:
    """Whether no pod waits for its finalizer to go."""
    left = status.uncounted_terminated_pods
    return left is None or not (left.succeeded or left.failed)
