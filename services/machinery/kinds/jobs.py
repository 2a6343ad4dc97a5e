"""Facts about Jobs and CronJobs."""

import msgspec

from pilothouse.services.machinery.kinds.pods import Pod, PodTemplate
from pilothouse.services.machinery.labels import LabelSelector
from pilothouse.services.machinery.objects import Metadata, View

TRACKING = "batch.kubernetes.io/job-tracking"
"""The finalizer of a pod that its Job has not counted yet."""
INDEX = "batch.kubernetes.io/job-completion-index"
INDEX_FAILURES = "batch.kubernetes.io/job-index-failure-count"
INDEX_FAILURES_IGNORED = "batch.kubernetes.io/job-index-ignored-failure-count"
SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp"
CONTROLLER = "kubernetes.io/job-controller"
"""What ``spec.managedBy`` says of a Job that is ours."""

INDEXED = "Indexed"
SUSPENDED = "Suspended"
COMPLETE = "Complete"
FAILED = "Failed"
FAILURE_TARGET = "FailureTarget"
SUCCESS_CRITERIA_MET = "SuccessCriteriaMet"


class ExitCodes(View, frozen=True, kw_only=True):
    container_name: str | None = None
    operator: str = ""
    values: tuple[int, ...] = ()


class PodConditionPattern(View, frozen=True, kw_only=True):
    type: str = ""
    status: str = "True"


class FailureRule(View, frozen=True, kw_only=True):
    action: str = ""
    on_exit_codes: ExitCodes | None = None
    on_pod_conditions: tuple[PodConditionPattern, ...] | None = None


class FailurePolicy(View, frozen=True, kw_only=True):
    rules: tuple[FailureRule, ...] = ()


class SuccessRule(View, frozen=True, kw_only=True):
    succeeded_indexes: str | None = None
    succeeded_count: int | None = None


class SuccessPolicy(View, frozen=True, kw_only=True):
    rules: tuple[SuccessRule, ...] = ()


class JobSpec(View, frozen=True, kw_only=True):
    parallelism: int = 1
    completions: int | None = None
    completion_mode: str = "NonIndexed"
    active_deadline_seconds: int | None = None
    backoff_limit: int = 6
    backoff_limit_per_index: int | None = None
    max_failed_indexes: int | None = None
    pod_failure_policy: FailurePolicy | None = None
    success_policy: SuccessPolicy | None = None
    pod_replacement_policy: str | None = None
    suspend: bool = False
    managed_by: str | None = None
    ttl_seconds_after_finished: int | None = None
    selector: LabelSelector | None = None
    template: PodTemplate = PodTemplate()


class JobCondition(View, frozen=True, kw_only=True):
    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_probe_time: str | None = None
    last_transition_time: str | None = None


class Uncounted(View, frozen=True, kw_only=True):
    """Uids of pods that ended and whose finalizer may still be there: not in the counters yet."""

    succeeded: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


class JobStatus(View, frozen=True, kw_only=True):
    conditions: tuple[JobCondition, ...] = ()
    start_time: str | None = None
    completion_time: str | None = None
    active: int = 0
    ready: int | None = None
    terminating: int | None = None
    succeeded: int = 0
    failed: int = 0
    completed_indexes: str = ""
    failed_indexes: str | None = None
    uncounted_terminated_pods: Uncounted | None = None


class Job(View, frozen=True, kw_only=True):
    metadata: Metadata = Metadata()
    spec: JobSpec = JobSpec()
    status: JobStatus = JobStatus()


class JobTemplate(View, frozen=True, kw_only=True):
    """``spec.jobTemplate``: metadata typed, the rest as the bytes that new Jobs are made of."""

    metadata: Metadata = Metadata()
    spec: msgspec.Raw = msgspec.Raw(b"{}")


class CronJobSpec(View, frozen=True, kw_only=True):
    schedule: str = ""
    time_zone: str | None = None
    starting_deadline_seconds: int | None = None
    concurrency_policy: str = "Allow"
    suspend: bool = False
    job_template: JobTemplate = JobTemplate()
    successful_jobs_history_limit: int | None = None
    failed_jobs_history_limit: int | None = None


class JobReference(View, frozen=True, kw_only=True):
    """A Job in ``status.active``."""

    api_version: str = "batch/v1"
    kind: str = "Job"
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""


class CronJobStatus(View, frozen=True, kw_only=True):
    active: tuple[JobReference, ...] = ()
    last_schedule_time: str | None = None
    last_successful_time: str | None = None


class CronJob(View, frozen=True, kw_only=True):
    metadata: Metadata = Metadata()
    spec: CronJobSpec = CronJobSpec()
    status: CronJobStatus = CronJobStatus()


def condition(job: Job, type_: str) -> JobCondition | None:
    """The condition of this type, if it holds."""
    found = (item for item in job.status.conditions if item.type == type_)
    return next((item for item in found if item.status == "True"), None)


def finished(job: Job) -> JobCondition | None:
    """The condition that ended it for good."""
    return condition(job, COMPLETE) or condition(job, FAILED)


def is_ours(job: Job) -> bool:
    """Whether no other controller was asked to manage it."""
    return job.spec.managed_by in {None, CONTROLLER}


def is_indexed(job: Job) -> bool:
    return job.spec.completion_mode == INDEXED


def is_tracked(pod: Pod) -> bool:
    """Whether the pod still waits for being counted."""
    return TRACKING in pod.metadata.finalizers


def replaces_failed_only(job: Job) -> bool:
    """Whether a pod on its way out is replaced only when it has ended."""
    return job.spec.pod_replacement_policy == FAILED or job.spec.pod_failure_policy is not None
