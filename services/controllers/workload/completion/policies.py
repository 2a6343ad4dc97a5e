"""What the Job's own rules make of a pod that failed, and of the indexes that succeeded."""

from collections.abc import Iterable
from dataclasses import dataclass

from pilothouse.services.controllers.workload.completion import intervals, members
from pilothouse.services.controllers.workload.completion.intervals import Intervals
from pilothouse.services.machinery.kinds.jobs import (
    ExitCodes,
    FailureRule,
    Job,
    PodConditionPattern,
    SuccessRule,
)
from pilothouse.services.machinery.kinds.pods import ContainerStatus, Pod

COUNT, IGNORE, FAIL_INDEX, FAIL_JOB = "Count", "Ignore", "FailIndex", "FailJob"


@dataclass(frozen=True, slots=True)
class Judgement:
    """``action`` is empty when no rule spoke; ``message`` says why the whole Job fails."""

    action: str = ""
    message: str = ""

    @property
    def counts(self) -> bool:
        """Whether the failure counts towards the limits."""
        return self.action != IGNORE


NONE = Judgement()


def judge(job: Job, pod: Pod) -> Judgement:
    """The first rule that matches the failed pod."""
    policy = job.spec.pod_failure_policy
    for number, rule in enumerate(policy.rules if policy is not None else ()):
        found = _matched(rule, pod)
        if found:
            said = f"{found} matching {rule.action} rule at index {number}"
            return Judgement(rule.action, said if rule.action == FAIL_JOB else "")
    return NONE


def _matched(rule: FailureRule, pod: Pod) -> str:
    """What of the pod the rule matches, as a sentence's beginning; empty for nothing."""
    name = f"{pod.metadata.namespace}/{pod.metadata.name}"
    if rule.on_exit_codes is not None:
        ended = _exit(rule.on_exit_codes, pod)
        if ended is not None and ended.state.terminated is not None:
            code = ended.state.terminated.exit_code
            return f"Container {ended.name} for pod {name} failed with exit code {code}"
    elif rule.on_pod_conditions is not None:
        kind = _condition(rule.on_pod_conditions, pod)
        if kind:
            return f"Pod {name} has condition {kind}"
    return ""


def _exit(codes: ExitCodes, pod: Pod) -> ContainerStatus | None:
    for status in (*pod.status.container_statuses, *pod.status.init_container_statuses):
        ended = status.state.terminated
        if ended is None or ended.exit_code == 0:
            continue
        if codes.container_name not in {None, status.name}:
            continue
        if (ended.exit_code in codes.values) == (codes.operator == "In"):
            return status
    return None


def _condition(patterns: Iterable[PodConditionPattern], pod: Pod) -> str:
    wanted = {(pattern.type, pattern.status) for pattern in patterns}
    for condition in pod.status.conditions:
        if (condition.type, condition.status) in wanted:
            return condition.type
    return ""


def fails_job(job: Job, pods: Iterable[Pod]) -> str:
    """Why a pod's failure ends the Job; empty when none does."""
    if job.spec.pod_failure_policy is None:
        return ""
    failed = (pod for pod in pods if members.is_failed(job, pod))
    return next((said for pod in failed if (said := judge(job, pod).message)), "")


def fails_index(job: Job, pod: Pod) -> bool:
    """Whether with this failed pod its index has failed for good."""
    limit = job.spec.backoff_limit_per_index
    if limit is None or not members.is_failed(job, pod):
        return False
    judgement = judge(job, pod)
    if judgement.action == FAIL_INDEX:
        return True
    return judgement.counts and members.failures_of(pod) >= limit


def succeeded_rule(job: Job, succeeded: Intervals) -> int | None:
    """The number of the success rule that these indexes meet."""
    policy = job.spec.success_policy
    if policy is None or not succeeded:
        return None
    completions = job.spec.completions or 0
    for number, rule in enumerate(policy.rules):
        if _met(rule, succeeded, completions):
            return number
    return None


def _met(rule: SuccessRule, succeeded: Intervals, completions: int) -> bool:
    if rule.succeeded_indexes is None:
        count = rule.succeeded_count
        return count is not None and intervals.total(succeeded) >= count
    wanted = intervals.parse(rule.succeeded_indexes, completions)
    if not wanted:
        return False
    both = intervals.shared(wanted, succeeded)
    if both == intervals.total(wanted):
        return True
    return rule.succeeded_count is not None and both >= rule.succeeded_count
