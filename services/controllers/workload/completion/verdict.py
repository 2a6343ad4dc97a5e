"""Whether a Job has come to its end, and why."""

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from pilothouse.services.controllers.workload.completion import intervals, policies
from pilothouse.services.controllers.workload.completion.indexes import Indexes
from pilothouse.services.controllers.workload.completion.members import Members
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.kinds import jobs
from pilothouse.services.machinery.kinds.jobs import Job, JobStatus
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.objects import View


@dataclass(frozen=True, slots=True)
class Verdict:
    """``target`` is the condition that comes first; ``end`` follows when all pods are counted."""

    target: str
    reason: str
    message: str

    @property
    def end(self) -> str:
        return jobs.COMPLETE if self.is_success else jobs.FAILED

    @property
    def is_success(self) -> bool:
        return self.target == jobs.SUCCESS_CRITERIA_MET


REACHED = Verdict(
    jobs.SUCCESS_CRITERIA_MET,
    "CompletionsReached",
    "Reached expected number of succeeded pods",
)


class _Template(View, frozen=True, kw_only=True):
    restart_policy: str = "Always"


_TEMPLATE = msgspec.json.Decoder(_Template)


def verdict(
    job: Job, crew: Members, failures: int, standing: Indexes | None, now: float
) -> Verdict | None:
    """What was said before stands; ``failures`` are all that count, the new ones among them."""
    for target in (jobs.SUCCESS_CRITERIA_MET, jobs.FAILURE_TARGET):
        said = jobs.condition(job, target)
        if said is not None:
            return Verdict(target, said.reason, said.message)
    why = policies.fails_job(job, crew.pods)
    if why:
        return _failure("PodFailurePolicy", why)
    if failures > job.spec.backoff_limit or _restarted_too_often(job, crew.pods):
        return _failure("BackoffLimitExceeded", "Job has reached the specified backoff limit")
    left = deadline_seconds_left(job, job.status, now)
    if left is not None and left <= 0:
        return _failure("DeadlineExceeded", "Job was active longer than specified deadline")
    return _of_indexes(job, standing) if standing is not None else None


def _failure(reason: str, message: str) -> Verdict:
    return Verdict(jobs.FAILURE_TARGET, reason, message)


def _of_indexes(job: Job, standing: Indexes) -> Verdict | None:
    failed = intervals.total(standing.failed or ())
    limit = job.spec.max_failed_indexes
    if limit is not None and failed > limit:
        message = "Job has exceeded the specified maximal number of failed indexes"
        return _failure("MaxFailedIndexesExceeded", message)
    done = failed + intervals.total(standing.succeeded)
    if failed and done >= (job.spec.completions or 0):
        return _failure("FailedIndexes", "Job has failed indexes")
    rule = policies.succeeded_rule(job, standing.succeeded)
    if rule is None:
        return None
    message = f"Matched rules at index {rule}"
    return Verdict(jobs.SUCCESS_CRITERIA_MET, "SuccessPolicy", message)


def is_reached(job: Job, succeeded: int, active: int) -> bool:
    """Whether enough pods have succeeded, and all others have ended; without a number one is."""
    enough = succeeded > 0
    if job.spec.completions is not None:
        enough = succeeded >= job.spec.completions
    return enough and active == 0


def deadline_seconds_left(job: Job, status: JobStatus, now: float) -> float | None:
    """Until the Job has run for as long as it may; None without a deadline, or at rest."""
    limit, start = job.spec.active_deadline_seconds, status.start_time
    if limit is None or start is None or job.spec.suspend:
        return None
    return timestamps.parse(start) + limit - now


def _restarted_too_often(job: Job, pods: Iterable[Pod]) -> bool:
    """Containers that are restarted in place count towards the limit as failed pods do."""
    limit = job.spec.backoff_limit
    restarts = sum(
        status.restart_count
        for pod in pods
        if pod.status.phase in {"Pending", "Running"}
        for status in (*pod.status.init_container_statuses, *pod.status.container_statuses)
    )
    if restarts < max(limit, 1):
        return False
    return _TEMPLATE.decode(job.spec.template.spec).restart_policy == "OnFailure"
