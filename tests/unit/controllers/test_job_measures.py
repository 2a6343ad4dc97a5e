"""Of Jobs and StatefulSets it is counted what upstream's dashboards ask for, each once."""

import msgspec
import pytest

from pilothouse.services.controllers.adapters.autoscaling.measures import (
    AutoscalerMeasures,
    TimedLooks,
)
from pilothouse.services.controllers.adapters.workload import statefulsets
from pilothouse.services.controllers.adapters.workload.jobmeasures import (
    CronJobMeasures,
    JobMeasures,
    Timed,
    TTLMeasures,
)
from pilothouse.services.controllers.autoscaling.sizes.verdict import Note
from pilothouse.services.controllers.workload.completion.sizes import Birth
from pilothouse.services.controllers.workload.job import Plan
from pilothouse.services.machinery.kinds import jobs
from pilothouse.services.machinery.kinds.jobs import (
    ExitCodes,
    FailurePolicy,
    FailureRule,
    Job,
    JobCondition,
    JobSpec,
    JobStatus,
)
from pilothouse.services.machinery.kinds.pods import (
    ContainerState,
    ContainerStatus,
    Pod,
    Status,
    Terminated,
)
from pilothouse.services.machinery.kinds.statefulsets import (
    RollingUpdate,
    StatefulSet,
    StatefulSetSpec,
    StatefulSetStatus,
    UpdateStrategy,
)
from pilothouse.services.machinery.objects import Key, Metadata
from pilothouse.services.runtime import exposition
from pilothouse.services.runtime.control.loop import DONE

KEY = Key("a", "j")
JOB = Job(
    metadata=Metadata(name="j", namespace="a"),
    spec=JobSpec(completion_mode="Indexed"),
    status=JobStatus(succeeded=1),
)


def told(measures):
    lines = exposition.render(measures.families()).decode().splitlines()
    return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))


def test_what_ended_is_counted_once():
    measures = JobMeasures()
    measures.recorded(JOB, JobStatus(succeeded=3, failed=1))
    done = JobCondition(type="Complete", status="True", reason="CompletionsReached")
    measures.recorded(JOB, JobStatus(succeeded=1, conditions=(done,)))
    found = told(measures)
    pods = 'job_controller_job_pods_finished_total{completion_mode="Indexed",result='
    assert found[f'{pods}"succeeded"}}'] == "2"
    assert found[f'{pods}"failed"}}'] == "1"
    labels = 'completion_mode="Indexed",reason="CompletionsReached",result="succeeded"'
    assert found[f"job_controller_jobs_finished_total{{{labels}}}"] == "1"


def failed(name, code):
    state = ContainerState(terminated=Terminated(exit_code=code))
    return Pod(
        metadata=Metadata(name=name, uid=name, finalizers=(jobs.TRACKING,)),
        status=Status(
            phase="Failed", container_statuses=(ContainerStatus(name="main", state=state),)
        ),
    )


def test_what_became_of_indexes_pods_and_rules_is_counted():
    rules = tuple(
        FailureRule(action=action, on_exit_codes=ExitCodes(operator="In", values=(code,)))
        for action, code in (("Ignore", 1), ("Count", 2))
    )
    job = msgspec.structs.replace(
        JOB,
        spec=JobSpec(
            completion_mode="Indexed",
            completions=5,
            backoff_limit_per_index=1,
            pod_failure_policy=FailurePolicy(rules=rules),
            pod_replacement_policy="Failed",
        ),
        status=JobStatus(completed_indexes="0"),
    )
    measures = JobMeasures()
    after = JobStatus(completed_indexes="0-2", failed_indexes="4,9")
    measures.recorded(job, after)
    measures.created(job, Plan(JobStatus(), create=(Birth(1), Birth(2))), 1)
    measures.created(job, Plan(JobStatus(failed=1), create=(Birth(1),)), 0)
    measures.created(JOB, Plan(JobStatus(terminating=1), create=(Birth(),)), 0)
    pods = (failed("a", 1), failed("b", 2), failed("c", 3))
    measures.judged(job, Plan(JobStatus(), untrack=pods))
    for managed in (None, "acme.io/jobs", jobs.CONTROLLER):
        spec = JobSpec(managed_by=managed)
        measures.job_came(msgspec.structs.replace(JOB, spec=spec))
    measures.pod_changed(None, failed("a", 1))
    measures.pod_changed(failed("a", 1), failed("a", 1))
    measures.pod_changed(failed("a", 1), None)
    measures.pod_changed(None, Pod())
    found = {name.removeprefix("job_controller_"): count for name, count in told(measures).items()}
    assert {name: count for name, count in found.items() if count != "0"} == {
        'job_finished_indexes_total{backoffLimit="perIndex",status="succeeded"}': "2",
        'job_finished_indexes_total{backoffLimit="perIndex",status="failed"}': "1",
        'job_pods_creation_total{reason="new",status="succeeded"}': "1",
        'job_pods_creation_total{reason="new",status="failed"}': "1",
        'job_pods_creation_total{reason="recreate_failed",status="succeeded"}': "1",
        'job_pods_creation_total{reason="recreate_terminating_or_failed",status="succeeded"}': "1",
        'pod_failures_handled_by_failure_policy_total{action="Ignore"}': "1",
        'pod_failures_handled_by_failure_policy_total{action="Count"}': "1",
        'jobs_by_external_controller_total{controller_name="acme.io/jobs"}': "1",
        'terminated_pods_tracking_finalizer_total{event="add"}': "1",
        'terminated_pods_tracking_finalizer_total{event="delete"}': "1",
    }


class Looks:
    """Does to the pods what it is told to, and may fail then."""

    name = "job"

    def __init__(self, measures):
        self.measures = measures
        self.todo = None
        self.fails = False

    async def reconcile(self, key):
        if self.todo is not None:
            self.measures.acting(key, self.todo)
        if self.fails:
            raise ValueError
        return DONE


async def test_every_look_is_counted_by_what_it_did():
    measures = JobMeasures()
    looks = Looks(measures)
    timed = Timed(looks, {KEY: JOB}.get, measures)
    await timed.reconcile(KEY)
    looks.todo = Plan(JobStatus(), create=(Birth(0),))
    await timed.reconcile(KEY)
    looks.todo, looks.fails = Plan(JobStatus()), True
    with pytest.raises(ValueError, match=r"^$"):
        await timed.reconcile(KEY)
    looks.fails = False
    await timed.reconcile(Key("a", "gone"))
    found = told(measures)
    counted = {
        name.partition("{")[2]: value for name, value in found.items() if "syncs_total" in name
    }
    assert counted == {
        'action="reconciling",completion_mode="Indexed",result="success"}': "1",
        'action="pods_created",completion_mode="Indexed",result="success"}': "1",
        'action="tracking",completion_mode="Indexed",result="error"}': "1",
    }
    spans = [name for name in found if name.startswith("job_controller_job_sync_duration_seconds_")]
    assert sum('le="65.536"' in name for name in spans) == 3


def test_how_late_a_job_was_made():
    measures = CronJobMeasures()
    measures.started(100.0, 103.0)
    name = "cronjob_controller_job_creation_skew_duration_seconds"
    found = told(measures)
    assert (found[f'{name}_bucket{{le="2"}}'], found[f'{name}_bucket{{le="4"}}']) == ("0", "1")
    assert found[f"{name}_sum"] == "3"


def test_how_late_a_job_was_deleted():
    measures = TTLMeasures()
    measures.deleted(0.3)
    found = told(measures)
    name = "ttl_after_finished_controller_job_deletion_duration_seconds"
    assert (found[f"{name}_count"], found[f"{name}_sum"]) == ("1", "0.3")


def test_how_many_pods_of_a_set_are_away_and_may_be():
    spec = StatefulSetSpec(
        replicas=5,
        update_strategy=UpdateStrategy(rolling_update=RollingUpdate(max_unavailable="40%")),
    )
    status = StatefulSetStatus(available_replicas=4)
    one = StatefulSet(metadata=Metadata(name="s", namespace="a"), spec=spec, status=status)
    lines = exposition.render(statefulsets.families([one])).decode()
    labels = 'pod_management_policy="OrderedReady",statefulset_name="s",statefulset_namespace="a"'
    assert f"statefulset_controller_statefulset_max_unavailable{{{labels}}} 2\n" in lines
    assert f"statefulset_controller_statefulset_unavailable_replicas{{{labels}}} 1\n" in lines


class Autoscales:
    name = "horizontal-pod-autoscaler"

    def __init__(self, measures):
        self.measures = measures

    async def reconcile(self, key):
        if key.name == "grows":
            self.measures.acted(key, 2, 5)
        reasons = {"broken": "FailedGetResourceMetric", "odd": "InvalidMetricSourceType"}
        notes = [Note("Warning", reasons[key.name], "")] if key.name in reasons else []
        self.measures.told(key, 5, notes)
        return DONE


async def test_looks_at_autoscalers_are_counted_by_what_came_of_them():
    measures = AutoscalerMeasures(lambda: 4)
    timed = TimedLooks(Autoscales(measures), measures)
    for name in ("grows", "rests", "rests", "broken", "odd"):
        await timed.reconcile(Key("a", name))
    for name in ("rests", "broken", "odd"):
        measures.forget(Key("a", name))
    head = "horizontal_pod_autoscaler_controller_"
    found = {name.removeprefix(head): count for name, count in told(measures).items()}
    assert {name: count for name, count in found.items() if "duration" not in name} == {
        'reconciliations_total{action="none",error="internal"}': "1",
        'reconciliations_total{action="none",error="none"}': "2",
        'reconciliations_total{action="none",error="spec"}': "1",
        'reconciliations_total{action="scale_up",error="none"}': "1",
        'desired_replicas{hpa_name="grows",namespace="a"}': "5",
        "num_horizontal_pod_autoscalers": "4",
    }
