"""Job: what runs, what counts, and when it is over."""

from typing import Any

import msgspec
import pytest

from pilothouse.services.controllers.workload import job as controller
from pilothouse.services.controllers.workload import untracking
from pilothouse.services.controllers.workload.completion import backoff, intervals
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.conditions import Condition
from pilothouse.services.machinery.kinds import jobs, pods
from pilothouse.services.machinery.kinds.jobs import (
    ExitCodes,
    FailurePolicy,
    FailureRule,
    Job,
    JobCondition,
    JobSpec,
    JobStatus,
    PodConditionPattern,
    SuccessPolicy,
    SuccessRule,
    Uncounted,
)
from pilothouse.services.machinery.kinds.pods import (
    ContainerState,
    ContainerStatus,
    Pod,
    PodTemplate,
    Terminated,
)
from pilothouse.services.machinery.labels import LabelSelector
from pilothouse.services.machinery.objects import Metadata, OwnerReference

NOW = 1_000_000.0
LABELS = {"job": "j"}
OWNER = OwnerReference(api_version="batch/v1", kind="Job", name="j", uid="J", controller=True)
replace = msgspec.structs.replace


def made(*, status: Any = None, going: bool = False, restart: str = "Never", **spec: Any) -> Job:
    template = PodTemplate(spec=msgspec.Raw(b'{"restartPolicy":"%s"}' % restart.encode()))
    given = {"completions": 1, "selector": LabelSelector(match_labels=LABELS), **spec}
    return Job(
        metadata=Metadata(name="j", uid="J", deletion_timestamp=at(0) if going else None),
        spec=JobSpec(template=template, **given),
        status=status or JobStatus(),
    )


def at(seconds: float) -> str:
    return timestamps.render(NOW + seconds)


def pod(name: str, phase: str = "Running", **more: Any) -> Pod:
    """``index``, ``code`` (how its container ended, ``ended`` seconds from now), ``going``."""
    index, code = more.pop("index", None), more.pop("code", None)
    notes = {jobs.INDEX: str(index)} if index is not None else {}
    failures = more.pop("failures", None)
    notes |= {jobs.INDEX_FAILURES: str(failures)} if failures is not None else {}
    tracked = (jobs.TRACKING,) if more.pop("tracked", True) else ()
    ended = Terminated(exit_code=code or 0, finished_at=at(more.pop("ended", 0)))
    state = ContainerState(terminated=ended if phase in {"Failed", "Succeeded"} else None)
    container = ContainerStatus(name="c", restart_count=more.pop("restarts", 0), state=state)
    return Pod(
        metadata=Metadata(
            name=name,
            uid=name,
            labels=more.pop("labels", LABELS),
            annotations=notes,
            owner_references=more.pop("owners", (OWNER,)),
            finalizers=tracked,
            deletion_timestamp=at(0) if more.pop("going", False) else None,
        ),
        status=pods.Status(
            phase=phase, container_statuses=(container,), conditions=more.pop("conditions", ())
        ),
    )


def plan(job: Job, *near: Pod, history: backoff.Backoff = backoff.NONE) -> controller.Plan:
    return controller.plan(job, near, history, NOW)


def said(todo: controller.Plan) -> dict[str, str]:
    """Conditions that hold, with their reason."""
    return {one.type: one.reason for one in todo.status.conditions if one.status == "True"}


def told(type_: str, reason: str = "", status: str = "True") -> JobCondition:
    return JobCondition(type=type_, status=status, reason=reason)


def names(found: Any) -> list[str]:
    return [item.metadata.name for item in found]


@pytest.mark.parametrize(
    ("spec", "running", "created"),
    [
        ({"completions": 5, "parallelism": 2}, 0, 2),
        ({"completions": 5, "parallelism": 2}, 1, 1),
        ({"completions": 1, "parallelism": 4}, 0, 1),
        ({"completions": None, "parallelism": 3}, 1, 2),
        ({"completions": 2000, "parallelism": 2000}, 0, 500),
        ({"completions": 5, "parallelism": 0}, 0, 0),
    ],
)
def test_as_many_run_as_may_and_are_needed(spec, running, created):
    todo = plan(made(**spec), *(pod(f"p{number}") for number in range(running)))
    assert len(todo.create) == created
    assert todo.status.active == running + created


def test_without_a_number_of_completions_nothing_starts_after_the_first_success():
    job = made(completions=None, parallelism=3)
    todo = plan(job, pod("a"), pod("b", "Succeeded"))
    assert (todo.create, todo.retire, said(todo)) == ((), (), {})
    todo = plan(job, pod("a", "Succeeded"), pod("b", "Succeeded"))
    assert said(todo) == {"SuccessCriteriaMet": "CompletionsReached"}


def test_too_many_are_retired_and_those_that_are_least_along_first():
    job = made(completions=5, parallelism=1)
    todo = plan(job, pod("a"), pod("b", "Pending"))
    assert names(todo.retire) == ["b"]
    assert (todo.status.active, todo.status.terminating) == (1, 1)


def test_a_pod_is_counted_in_three_steps_and_then_the_job_is_complete():
    job = made()
    first = plan(job, pod("a", "Succeeded"))
    assert first.status.uncounted_terminated_pods == Uncounted(succeeded=("a",))
    assert (first.status.succeeded, names(first.untrack)) == (0, ["a"])
    job = replace(job, status=first.status)
    assert plan(job, pod("a", "Succeeded")).status == first.status
    last = plan(job, pod("a", "Succeeded", tracked=False))
    assert (last.status.succeeded, last.status.uncounted_terminated_pods) == (1, Uncounted())
    assert said(last) == {
        "SuccessCriteriaMet": "CompletionsReached",
        "Complete": "CompletionsReached",
    }
    assert last.status.completion_time == at(0)
    over = plan(replace(job, status=last.status), pod("b"), pod("c", "Succeeded"))
    assert over == controller.Plan(last.status)


def test_a_pod_whose_deletion_is_seen_counts_as_failed():
    job = made(completions=3, parallelism=3)
    todo = plan(job, pod("a", going=True))
    assert todo.status.uncounted_terminated_pods == Uncounted(failed=("a",))
    waits = made(completions=3, parallelism=3, pod_replacement_policy="Failed")
    todo = plan(waits, pod("a", going=True))
    assert (todo.status.uncounted_terminated_pods, len(todo.create)) == (Uncounted(), 2)


def test_failures_are_followed_by_a_pause_that_doubles():
    job = made(backoff_limit=6, status=JobStatus(start_time=at(-99)))
    todo = plan(job, pod("a", "Failed", ended=-4))
    assert (todo.create, todo.again_after) == ((), 6.0)
    again = plan(job, pod("a", "Failed", ended=-4), history=todo.backoff)
    assert again.backoff == todo.backoff
    third = plan(
        job, pod("b", "Failed", ended=-1), pod("c", "Failed", ended=-2), history=todo.backoff
    )
    assert (third.backoff.failures, third.again_after) == (3, 39.0)
    assert backoff.seconds_left(60, NOW, NOW) == backoff.SECONDS_MAX
    won = plan(made(completions=9), pod("d", "Succeeded", ended=0), history=third.backoff)
    assert (won.backoff.failures, len(won.create)) == (0, 1)


def test_over_the_limit_all_stops_and_the_job_fails_when_all_is_counted():
    job = made(completions=5, parallelism=2, backoff_limit=0)
    todo = plan(job, pod("a", "Failed"), pod("b"))
    assert said(todo) == {"FailureTarget": "BackoffLimitExceeded"}
    assert (names(todo.stop), names(todo.untrack)) == (["b"], ["a", "b"])
    assert todo.status.uncounted_terminated_pods == Uncounted(failed=("a", "b"))
    job = replace(job, status=todo.status)
    waits = plan(job, pod("b", going=True, tracked=False))
    assert "Failed" not in said(waits)
    ends = plan(replace(job, status=waits.status))
    assert said(ends)["Failed"] == "BackoffLimitExceeded"
    assert (ends.status.failed, ends.status.completion_time) == (2, None)


@pytest.mark.parametrize(
    ("limit", "restarts", "policy", "fails"),
    [
        (2, 2, "OnFailure", True),
        (2, 1, "OnFailure", False),
        (0, 1, "OnFailure", True),
        (2, 9, "Never", False),
    ],
)
def test_restarts_in_place_count_towards_the_limit(limit, restarts, policy, fails):
    job = made(backoff_limit=limit, restart=policy)
    todo = plan(job, pod("a", restarts=restarts))
    assert ("FailureTarget" in said(todo)) == fails


def test_a_job_has_its_time_and_no_more():
    job = made(active_deadline_seconds=30, status=JobStatus(start_time=at(-20)))
    assert plan(job, pod("a")).again_after == 10
    job = replace(job, status=JobStatus(start_time=at(-30)))
    assert said(plan(job, pod("a"))) == {"FailureTarget": "DeadlineExceeded"}
    assert plan(made(active_deadline_seconds=30)).again_after == 30


def test_suspended_it_has_no_pods_and_no_start():
    job = made(suspend=True, status=JobStatus(start_time=at(-20)))
    todo = plan(job, pod("a"))
    assert (names(todo.retire), todo.status.start_time) == (["a"], None)
    assert said(todo) == {"Suspended": "JobSuspended"}
    assert todo.status.uncounted_terminated_pods == Uncounted()
    resumed = plan(made(status=todo.status))
    assert len(resumed.create) == 1
    assert resumed.status.start_time == at(0)
    (last,) = resumed.status.conditions
    assert (last.status, last.reason) == ("False", "JobResumed")


@pytest.mark.parametrize("mode", ["Indexed", "NonIndexed"])
def test_a_pod_that_was_taken_for_failed_counts_once_when_it_succeeds_after_all(mode):
    """It was asked to go, counted, and did its work within its grace: seed 40172."""
    taken = JobStatus(start_time=at(-20), uncounted_terminated_pods=Uncounted(failed=("a",)))
    job = made(completion_mode=mode, suspend=True, status=taken)
    first = plan(job, pod("a", "Succeeded", index=0, going=True))
    assert (first.status.succeeded, first.status.completed_indexes or "") == (0, "")
    last = plan(replace(job, status=first.status))
    assert (last.status.succeeded, last.status.failed) == (0, 1)


def test_a_start_that_somebody_set_for_a_suspended_one_stays():
    rests = (JobCondition(type="Suspended", status="True", reason="JobSuspended"),)
    resumed = plan(made(status=JobStatus(start_time=at(-20), conditions=rests)))
    assert resumed.status.start_time == at(-20)
    assert resumed.status.conditions[0].reason == "JobResumed"


def test_one_on_its_way_out_only_lets_go():
    todo = plan(made(going=True), pod("a"), pod("free", owners=()))
    assert (todo.create, todo.stop, todo.retire, todo.adopt) == ((), (), (), ())
    assert names(todo.untrack) == ["a"]


def test_free_pods_are_adopted_and_tracked_and_strangers_released():
    job = made(completions=2, parallelism=2)
    free = pod("free", "Succeeded", owners=(), tracked=False)
    stray = pod("stray", labels={})
    todo = plan(job, free, stray)
    assert (names(todo.adopt), names(todo.release)) == (["free"], ["stray"])
    assert todo.status.uncounted_terminated_pods == Uncounted(succeeded=("free",))
    assert len(todo.create) == 1


def test_managed_by_another_it_is_left_alone():
    job = made(managed_by="example.com/other")
    assert plan(job) == controller.Plan(job.status)
    assert plan(made(managed_by=jobs.CONTROLLER)).create


def indexed(**spec: Any) -> Job:
    return made(**{"completions": 4, "parallelism": 4, "completion_mode": "Indexed", **spec})


def test_an_indexed_job_runs_each_index_once():
    job = indexed(status=JobStatus(completed_indexes="0"))
    todo = plan(job, pod("a", index=2))
    assert [birth.index for birth in todo.create] == [1, 3]
    assert todo.status.succeeded == 1
    double = plan(job, pod("a", index=2), pod("b", "Pending", index=2), pod("c"), pod("d", index=7))
    assert sorted(names(double.retire)) == ["b", "c", "d"]


def test_indexes_that_succeeded_are_in_the_status():
    found = [pod(str(number), "Succeeded", index=number) for number in (0, 1, 3)]
    todo = plan(indexed(), *found, pod("2", index=2))
    assert todo.status.completed_indexes == "0,1,3"
    assert (todo.status.succeeded, len(todo.untrack)) == (3, 3)
    again = plan(indexed(status=todo.status), *found, pod("2", "Succeeded", index=2))
    assert again.status.completed_indexes == "0-3"


def test_each_index_may_have_its_own_limit():
    job = indexed(backoff_limit_per_index=1, backoff_limit=99)
    first = pod("a", "Failed", index=0, failures=0, ended=-60)
    todo = plan(job, first, *(pod(str(n), index=n) for n in (1, 2, 3)))
    (birth,) = todo.create
    assert (birth.index, birth.failures) == (0, 1)
    assert (todo.untrack, todo.status.failed_indexes) == ((), "")
    second = pod("b", "Failed", index=0, failures=1)
    todo = plan(job, second, *(pod(str(n), index=n) for n in (1, 2, 3)))
    assert (todo.create, todo.status.failed_indexes) == ((), "0")
    others = [pod(str(n), "Succeeded", index=n) for n in (1, 2, 3)]
    assert said(plan(job, second, *others)) == {"FailureTarget": "FailedIndexes"}


def test_an_index_ends_in_one_way_only():
    job = indexed(backoff_limit_per_index=0, status=JobStatus(failed_indexes="0"))
    todo = plan(job, pod("a", "Succeeded", index=0), pod("b", "Succeeded", index=1))
    assert (todo.status.failed_indexes, todo.status.completed_indexes) == ("0", "1")
    late = pod("c", "Failed", index=1, failures=0)
    job = indexed(backoff_limit_per_index=0, status=JobStatus(completed_indexes="1"))
    todo = plan(job, late)
    assert (todo.status.failed_indexes, todo.status.completed_indexes) == ("", "1")


def test_one_that_ends_at_rest_has_a_start_all_the_same():
    target = told("SuccessCriteriaMet", "CompletionsReached")
    todo = plan(made(suspend=True, status=JobStatus(succeeded=1, conditions=(target,))))
    assert "Complete" in said(todo)
    assert todo.status.start_time == todo.status.completion_time == at(0)


def test_an_index_waits_after_its_own_failures_only():
    job = indexed(backoff_limit_per_index=3, parallelism=2, completions=2)
    todo = plan(job, pod("a", "Failed", index=0, failures=1, ended=-5))
    assert [birth.index for birth in todo.create] == [1]
    assert todo.again_after == 15


def test_too_many_failed_indexes_end_the_job():
    job = indexed(backoff_limit_per_index=0, max_failed_indexes=1)
    lost = [pod(str(n), "Failed", index=n, failures=0) for n in (0, 2)]
    todo = plan(job, *lost, pod("1", index=1))
    assert said(todo) == {"FailureTarget": "MaxFailedIndexesExceeded"}
    assert (todo.status.failed_indexes, names(todo.stop)) == ("0,2", ["1"])


def rules(*given: FailureRule) -> dict[str, Any]:
    return {"pod_failure_policy": FailurePolicy(rules=given), "pod_replacement_policy": "Failed"}


def on_exit(action: str, *codes: int, operator: str = "In", name: str | None = None) -> FailureRule:
    asked = ExitCodes(container_name=name, operator=operator, values=codes)
    return FailureRule(action=action, on_exit_codes=asked)


def test_an_exit_code_may_fail_the_job_at_once():
    job = made(completions=2, parallelism=2, **rules(on_exit("FailJob", 42)))
    todo = plan(job, pod("a", "Failed", code=42), pod("b"))
    assert said(todo) == {"FailureTarget": "PodFailurePolicy"}
    (condition,) = todo.status.conditions
    assert condition.message == (
        "Container c for pod /a failed with exit code 42 matching FailJob rule at index 0"
    )
    assert names(todo.stop) == ["b"]


@pytest.mark.parametrize(
    ("rule", "code", "counted"),
    [
        (on_exit("Ignore", 3), 3, False),
        (on_exit("Ignore", 3), 4, True),
        (on_exit("Ignore", 3, operator="NotIn"), 4, False),
        (on_exit("Ignore", 3, name="other"), 3, True),
        (on_exit("Count", 3), 3, True),
    ],
)
def test_what_is_ignored_does_not_count(rule, code, counted):
    todo = plan(made(backoff_limit=0, **rules(rule)), pod("a", "Failed", code=code, ended=-60))
    assert (said(todo) != {}) == counted
    assert (todo.status.uncounted_terminated_pods == Uncounted(failed=("a",))) == counted
    assert names(todo.untrack) == ["a"]


def test_a_disruption_may_be_ignored():
    pattern = PodConditionPattern(type="DisruptionTarget")
    rule = FailureRule(action="Ignore", on_pod_conditions=(pattern,))
    target = (Condition(type="DisruptionTarget", status="True"),)
    job = made(backoff_limit=0, **rules(rule))
    assert said(plan(job, pod("a", "Failed", code=1, conditions=target))) == {}
    assert plan(job, pod("a", "Running", going=True, conditions=target)).create == ()


def test_an_index_may_fail_at_once():
    job = indexed(backoff_limit_per_index=5, **rules(on_exit("FailIndex", 7)))
    todo = plan(job, pod("a", "Failed", index=0, failures=0, code=7))
    assert todo.status.failed_indexes == "0"
    assert [birth.index for birth in todo.create] == [1, 2, 3]


@pytest.mark.parametrize(
    ("rule", "met"),
    [
        (SuccessRule(succeeded_indexes="0,2"), True),
        (SuccessRule(succeeded_indexes="0-3"), False),
        (SuccessRule(succeeded_count=2), True),
        (SuccessRule(succeeded_count=3), False),
        (SuccessRule(succeeded_indexes="1-3", succeeded_count=1), True),
        (SuccessRule(succeeded_indexes="1,3", succeeded_count=1), False),
    ],
)
def test_success_may_come_before_the_last_index(rule, met):
    job = indexed(success_policy=SuccessPolicy(rules=(rule,)))
    won = [pod(str(n), "Succeeded", index=n) for n in (0, 2)]
    todo = plan(job, *won, pod("1", index=1), pod("3", index=3))
    assert (said(todo) == {"SuccessCriteriaMet": "SuccessPolicy"}) == met
    assert names(todo.stop) == (["1", "3"] if met else [])
    assert todo.status.uncounted_terminated_pods == Uncounted()


def test_nobody_counts_the_pods_of_a_job_that_is_over():
    over = made(status=JobStatus(conditions=(told("Complete"),)))
    assert untracking.plan(pod("a"), over)
    assert untracking.plan(pod("a"), None)
    assert untracking.plan(pod("a", owners=()), None)
    assert not untracking.plan(pod("a"), made())
    assert not untracking.plan(pod("a", tracked=False), None)
    other = OwnerReference(api_version="x/v1", kind="Other", name="o", uid="O", controller=True)
    assert not untracking.plan(pod("a", owners=(other,)), None)


@pytest.mark.parametrize("text", ["", "0", "0,1", "0-2", "0-2,5,6,8-10"])
def test_intervals_are_read_as_they_are_written(text):
    assert intervals.render(intervals.parse(text, 100)) == text


def test_intervals_know_what_is_in_them_and_what_is_not():
    found = intervals.parse("1-3,7,x,9-20", 10)
    assert found == ((1, 3), (7, 7), (9, 9))
    assert [n for n in range(10) if intervals.contains(found, n)] == [1, 2, 3, 7, 9]
    assert intervals.absent(found, 10, 3) == (0, 4, 5)
    assert intervals.absent(found, 10, 99) == (0, 4, 5, 6, 8)
    assert intervals.shared(found, intervals.of((0, 2, 3, 9))) == 3
