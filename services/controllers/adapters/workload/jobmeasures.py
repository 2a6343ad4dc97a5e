"""What is counted of Jobs and of CronJobs, under the names that Kubernetes gives it."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator

from pilothouse.services.controllers.workload.completion import intervals, members, policies
from pilothouse.services.controllers.workload.job import Plan
from pilothouse.services.machinery.kinds import jobs, pods
from pilothouse.services.machinery.kinds.jobs import Job, JobStatus, Uncounted
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import Reconciler, Result
from pilothouse.services.runtime.control.measures import Spans
from pilothouse.services.runtime.exposition import Family

SYNC_BOUNDS = tuple(0.004 * 2**power for power in range(15))
SKEW_BOUNDS = tuple(float(2**power) for power in range(10))
LATE_BOUNDS = tuple(0.1 * 2**power for power in range(14))
"""All are seconds, as upstream's."""

_RECONCILING = "reconciling"
_TRACKING = "tracking"


class JobMeasures:
    """Of the Job controller."""

    def __init__(self) -> None:
        self._acting: dict[Key, str] = {}
        self._syncs: dict[tuple[str, str, str], Spans] = {}
        self._finished: Counter[tuple[str, str, str]] = Counter()
        self._pods: Counter[tuple[str, str]] = Counter()
        self._indexes: Counter[tuple[str, str]] = Counter()
        self._made: Counter[tuple[str, str]] = Counter()
        self._judged: Counter[str] = Counter()
        self._elsewhere: Counter[str] = Counter()
        self._tracked: Counter[str] = Counter()

    def acting(self, key: Key, todo: Plan) -> None:
        """What is about to be done to the pods of a Job."""
        deletes = bool(todo.stop or todo.retire)
        self._acting[key] = (
            "pods_created" if todo.create else "pods_deleted" if deletes else _TRACKING
        )

    def synced(self, job: Job, result: str, seconds: float) -> None:
        """A look at a Job is over: ``success`` or ``error``."""
        action = self._acting.pop(job.metadata.key, _RECONCILING)
        labels = (action, _mode(job), result)
        self._syncs.setdefault(labels, Spans(SYNC_BOUNDS)).observe(seconds)

    def recorded(self, job: Job, status: JobStatus) -> None:
        """A new status is written."""
        mode = _mode(job)
        for result, more in (
            ("succeeded", status.succeeded - job.status.succeeded),
            ("failed", status.failed - job.status.failed),
        ):
            if more > 0:
                self._pods[mode, result] += more
        self._completed(job, status)
        for said in status.conditions:
            if said.status == "True" and said.type in {jobs.COMPLETE, jobs.FAILED}:
                result = "succeeded" if said.type == jobs.COMPLETE else "failed"
                self._finished[mode, said.reason, result] += 1

    def _completed(self, job: Job, status: JobStatus) -> None:
        if not jobs.is_indexed(job):
            return
        limit = "global" if job.spec.backoff_limit_per_index is None else "perIndex"
        for result, after, before in (
            ("succeeded", status.completed_indexes, job.status.completed_indexes),
            ("failed", status.failed_indexes or "", job.status.failed_indexes or ""),
        ):
            if after != before:
                more = _total(job, after) - _total(job, before)
                self._indexes[limit, result] += max(more, 0)

    def created(self, job: Job, todo: Plan, missing: int) -> None:
        """Pods were asked for, and ``missing`` of them refused."""
        uncounted = todo.status.uncounted_terminated_pods or Uncounted()
        failed = bool(todo.status.failed or uncounted.failed)
        reason = "new"
        if failed and job.spec.pod_replacement_policy == jobs.FAILED:
            reason = "recreate_failed"
        elif failed or todo.status.terminating:
            reason = "recreate_terminating_or_failed"
        self._made[reason, "succeeded"] += len(todo.create) - missing
        self._made[reason, "failed"] += missing

    def judged(self, job: Job, todo: Plan) -> None:
        """Pods that failed were looked at with the Job's own rules."""
        if job.spec.pod_failure_policy is None:
            return
        known = (job.status.uncounted_terminated_pods or Uncounted()).failed
        for pod in todo.untrack:
            action = policies.judge(job, pod).action
            if action and members.is_failed(job, pod) and pod.metadata.uid not in known:
                self._judged[action] += 1

    def job_came(self, job: Job) -> None:
        """A Job is there that was not."""
        if not jobs.is_ours(job):
            self._elsewhere[job.spec.managed_by or ""] += 1

    def pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        """Pods that ended come to wait for being counted, and are counted."""
        before, after = _waits(old), _waits(new)
        if before != after:
            self._tracked["add" if after else "delete"] += 1

    def families(self) -> Iterator[Family]:
        """Upstream's ``job_controller_*``."""
        total = Family("job_controller_job_syncs_total", "counter", "Looks at Jobs.")
        spans = Family(
            "job_controller_job_sync_duration_seconds", "histogram", "How long a look took."
        )
        for (action, mode, result), each in sorted(self._syncs.items()):
            labels = (("action", action), ("completion_mode", mode), ("result", result))
            total.add(sum(each.counts), *labels)
            spans.observe(SYNC_BOUNDS, each.counts, each.total, labels)
        finished = Family("job_controller_jobs_finished_total", "counter", "Jobs that ended.")
        for (mode, reason, result), count in sorted(self._finished.items()):
            finished.add(count, ("completion_mode", mode), ("reason", reason), ("result", result))
        ended = Family(
            "job_controller_job_pods_finished_total", "counter", "Pods that ended and are counted."
        )
        for (mode, result), count in sorted(self._pods.items()):
            ended.add(count, ("completion_mode", mode), ("result", result))
        return iter((total, spans, finished, ended, *self._finer()))

    def _finer(self) -> Iterator[Family]:
        for name, help_, names, counts in (
            ("job_finished_indexes_total", "Indexes that ended.",
             ("backoffLimit", "status"), self._indexes),
            ("job_pods_creation_total", "Pods that were made, and why.",
             ("reason", "status"), self._made),
            ("pod_failures_handled_by_failure_policy_total", "Failures that a rule spoke of.",
             ("action",), self._judged),
            ("jobs_by_external_controller_total", "Jobs that others manage.",
             ("controller_name",), self._elsewhere),
            ("terminated_pods_tracking_finalizer_total", "Ended pods that wait to be counted.",
             ("event",), self._tracked),
        ):  # fmt: skip
            family = Family(f"job_controller_{name}", "counter", help_)
            for key, count in sorted(counts.items()):
                values = (key,) if isinstance(key, str) else key
                family.add(count, *zip(names, values, strict=True))
            yield family


class Timed:
    """A Job controller whose looks are counted."""

    def __init__(
        self, inner: Reconciler, find: Callable[[Key], Job | None], measures: JobMeasures
    ) -> None:
        self.name = inner.name
        self._inner = inner
        self._find = find
        self._measures = measures

    async def reconcile(self, key: Key) -> Result:
        job = self._find(key)
        if job is None or jobs.finished(job) is not None:
            return await self._inner.reconcile(key)
        clock, result = asyncio.get_running_loop().time, "error"
        began = clock()
        try:
            done = await self._inner.reconcile(key)
            result = "success"
        finally:
            self._measures.synced(job, result, clock() - began)
        return done


class CronJobMeasures:
    """Of the CronJob controller: how long after its time a Job was made."""

    def __init__(self) -> None:
        self._skew = Spans(SKEW_BOUNDS)

    def started(self, due: float, made: float) -> None:
        """Both in seconds since the epoch."""
        self._skew.observe(made - due)

    def families(self) -> Iterator[Family]:
        """Upstream's one that is stable."""
        skew = Family(
            "cronjob_controller_job_creation_skew_duration_seconds",
            "histogram",
            "From the time of a start to the Job's making.",
        )
        skew.observe(SKEW_BOUNDS, self._skew.counts, self._skew.total, ())
        yield skew


class TTLMeasures:
    """Of the TTL controller: how long after its time a Job was deleted."""

    def __init__(self) -> None:
        self._late = Spans(LATE_BOUNDS)

    def deleted(self, late_seconds: float) -> None:
        """A Job went."""
        self._late.observe(late_seconds)

    def families(self) -> Iterator[Family]:
        """Upstream's one."""
        late = Family(
            "ttl_after_finished_controller_job_deletion_duration_seconds",
            "histogram",
            "From the end of a Job's time to its deletion.",
        )
        late.observe(LATE_BOUNDS, self._late.counts, self._late.total, ())
        yield late


def _total(job: Job, indexes: str) -> int:
    return intervals.total(intervals.parse(indexes, job.spec.completions or 0))


def _waits(pod: Pod | None) -> bool:
    return pod is not None and pods.is_terminal(pod) and jobs.is_tracked(pod)


def _mode(job: Job) -> str:
    return job.spec.completion_mode or "NonIndexed"
