"""Autoscalers in corners: between the windows, at zero, beside pods that nobody measured."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.controllers.autoscaling import horizontalpodautoscaler as controller
from pilothouse.services.controllers.autoscaling.sizes import rates
from pilothouse.services.controllers.autoscaling.sizes.proposals import Total, Unread
from pilothouse.services.controllers.autoscaling.sizes.rates import Bounds, History, Moment
from pilothouse.services.controllers.autoscaling.sizes.samples import (
    Measured,
    Sample,
    Tolerances,
    Unanswered,
    by_average,
    by_utilization,
)
from pilothouse.services.controllers.autoscaling.sizes.target import Found
from pilothouse.services.controllers.autoscaling.sizes.verdict import Past, Settings, refused
from pilothouse.services.machinery import conditions, timestamps
from pilothouse.services.machinery.conditions import Condition
from pilothouse.services.machinery.kinds import autoscaling, pods
from pilothouse.services.machinery.kinds.autoscaling import Behavior, Policy, Rules
from pilothouse.services.machinery.objects import Metadata

NOW = 1_000_000.0
replace = msgspec.structs.replace
QUEUE = {
    "type": "External",
    "external": {
        "metric": {"name": "jobs"},
        "target": {"type": "AverageValue", "averageValue": "10"},
    },
}
WHOLE = {
    "type": "External",
    "external": {"metric": {"name": "jobs"}, "target": {"type": "Value", "value": "50"}},
}
CPU = {
    "type": "Resource",
    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
}


def autoscaler(*metrics, least=1, most=10, behavior=None, zero=None):
    metrics = msgspec.convert(metrics or (QUEUE,), tuple[autoscaling.Metric, ...])
    told = () if zero is None else (Condition(type="ScaledToZero", status=str(zero)),)
    return autoscaling.HorizontalPodAutoscaler(
        metadata=Metadata(name="web", namespace="default"),
        spec=autoscaling.Spec(
            min_replicas=least, max_replicas=most, metrics=metrics, behavior=behavior
        ),
        status=autoscaling.Status(conditions=told),
    )


def found(count, *behind, unreadable=""):
    scale = autoscaling.Scale(
        spec=autoscaling.ScaleSpec(replicas=count),
        status=autoscaling.ScaleStatus(replicas=count, selector="app=web"),
    )
    return Found(scale, behind, unreadable=unreadable)


def plan(scaler, target, *readings, history=None, now=NOW):
    return controller.plan(scaler, target, readings, Past(history or History(), Settings(), now))


def said(status, type_):
    told = conditions.find(status.conditions, type_)
    return told and (told.status, told.reason)


def rules(*policies, select="Max", window=0, period=60):
    listed = tuple(Policy(type=kind, value=size, period_seconds=period) for kind, size in policies)
    return Rules(stabilization_window_seconds=window, select_policy=select, policies=listed)


OPEN = Behavior(
    scale_up=rules(("Percent", 900), window=60), scale_down=rules(("Percent", 100), window=300)
)


@pytest.mark.parametrize(
    ("current", "wanted", "recent", "replicas", "able"),
    [
        (5, 7, [2], 5, "ScaleUpStabilized"),
        (5, 7, [6], 6, "ScaleUpStabilized"),
        (5, 7, [9], 7, "ReadyForNewScale"),
        (5, 3, [9], 5, "ScaleDownStabilized"),
        (5, 3, [4], 4, "ScaleDownStabilized"),
        (5, 3, [1], 3, "ReadyForNewScale"),
        (5, 5, [1, 9], 5, "ReadyForNewScale"),
        (5, 7, [2, 9], 5, "ScaleUpStabilized"),
        (5, 3, [1, 9], 5, "ScaleDownStabilized"),
    ],
)
def test_with_windows_both_ways_nothing_moves_further_than_both_allow(
    current, wanted, recent, replicas, able
):
    history = History(tuple(Moment(size, NOW - 30) for size in recent))
    told = rates.normalize(history, current, wanted, Bounds(1, 100), OPEN, NOW)
    assert (told.replicas, told.able.reason) == (replicas, able)


@pytest.mark.parametrize(
    ("grown", "shrunk", "wanted", "replicas"),
    [
        (0, 0, 50, 14),
        (4, 0, 50, 10),
        (4, 3, 50, 13),
        (0, 3, 50, 17),
        (0, 0, 1, 8),
        (0, 2, 1, 10),
        (3, 2, 1, 7),
        (3, 0, 1, 5),
    ],
)
def test_what_came_and_went_in_a_period_counts_both_ways(grown, shrunk, wanted, replicas):
    behavior = Behavior(scale_up=rules(("Pods", 4)), scale_down=rules(("Pods", 2)))
    moments = [(Moment(size, NOW - 30),) if size else () for size in (grown, shrunk)]
    history = History((Moment(wanted, NOW - 500),), *moments)
    told = rates.normalize(history, 10, wanted, Bounds(1, 100, 0.0), behavior, NOW)
    assert told.replicas == replicas


@pytest.mark.parametrize(
    ("percent", "current", "wanted", "replicas"),
    [(10, 100, 500, 111), (10, 3, 500, 4), (50, 7, 500, 11), (90, 10, 1, 1), (30, 70, 1, 49)],
)
def test_parts_are_rounded_as_upstream_rounds_them(percent, current, wanted, replicas):
    behavior = Behavior(
        scale_up=rules(("Percent", percent)), scale_down=rules(("Percent", percent))
    )
    history = History((Moment(wanted, NOW - 500),))
    told = rates.normalize(history, current, wanted, Bounds(1, 1000, 0.0), behavior, NOW)
    assert told.replicas == replicas


@pytest.mark.parametrize(
    ("zero", "least", "metric", "jobs", "replicas"),
    [
        (True, 0, QUEUE, 25, 3),
        (True, 0, QUEUE, 0, None),
        (True, 2, QUEUE, 0, 2),
        (False, 0, QUEUE, 25, None),
        (None, 0, QUEUE, 25, None),
        (None, 2, QUEUE, 25, None),
        (True, 0, CPU, 25, None),
        (True, 0, WHOLE, 200, 4),
        (True, 0, WHOLE, 3000, 4),
    ],
)
def test_only_who_left_no_pod_makes_pods_again(zero, least, metric, jobs, replicas):
    reading = {} if metric is CPU else Total(jobs * 1000)
    todo = plan(autoscaler(metric, least=least, zero=zero), found(0), reading)
    assert todo.replicas == replicas
    if replicas:
        assert said(todo.status, "ScaledToZero") == ("False", "NotScaledToZero")


def test_zero_is_noted_when_the_autoscaler_comes_to_it_and_not_when_it_is_refused():
    scaler, quiet = autoscaler(least=0), History((Moment(0, NOW - 10),))
    todo = plan(scaler, found(1), Total(0), history=quiet)
    assert todo.replicas == 0
    assert said(todo.status, "ScaledToZero") == ("True", "ScaledToZero")
    told = refused(scaler, todo, "no", Past(quiet, Settings(), NOW))
    assert said(told.status, "ScaledToZero") is None
    kept = plan(replace(scaler, status=todo.status), found(0), Total(0), history=todo.history)
    assert said(kept.status, "ScaledToZero") == ("True", "ScaledToZero")
    grown = plan(autoscaler(), found(1), Total(30_000))
    told = conditions.find(grown.status.conditions, "ScaledToZero")
    assert told.message == "the HPA controller did not scale the workload to zero"


def test_a_selector_that_nobody_can_read_is_told():
    todo = plan(autoscaler(), found(1, unreadable="unable to parse requirement"), Total(0))
    assert said(todo.status, "ScalingActive") == ("False", "InvalidSelector")
    assert [note.reason for note in todo.notes] == [
        "InvalidSelector",
        "FailedComputeMetricsReplicas",
    ]


def test_what_could_be_read_is_shown_though_not_all_could():
    todo = plan(autoscaler(QUEUE, CPU), found(5), Total(10_000), Unread("gone"))
    assert todo.replicas is None
    first, second = todo.status.current_metrics
    assert first.external.current.average_value == "2"
    assert second.resource is None


def pod(name, *, phase="Running", own=None, **containers):
    listed = [
        pods.Container(name=each, resources=pods.Resources(requests={"cpu": cpu} if cpu else {}))
        for each, cpu in (containers or {"main": "100m"}).items()
    ]
    stamp = timestamps.render(NOW - 3600)
    ready = Condition(type="Ready", status="True", last_transition_time=stamp)
    return pods.Pod(
        metadata=Metadata(name=name),
        spec=pods.Spec(
            containers=tuple(listed), resources=pods.Resources(requests=own or {})
        ),
        status=pods.Status(phase=phase, conditions=(ready,), start_time=stamp),
    )  # fmt: skip


def measured(behind, resource="cpu", **milli):
    samples = {name: Sample(amount, NOW - 10, 30) for name, amount in milli.items()}
    return Measured(behind, samples, resource, NOW)


@pytest.mark.parametrize(
    ("current", "use", "replicas"), [(3, 40, 4), (8, 80, 8), (6, 80, 8), (2, 50, 2)]
)
def test_pods_that_are_measured_count_though_others_are_wanted(current, use, replicas):
    five = [pod(f"p{number}") for number in range(5)]
    reading = measured(five, **{f"p{number}": use for number in range(5)})
    assert by_utilization(reading, current, 50, Tolerances()).replicas == replicas
    assert by_average(reading, current, 50, Tolerances()).replicas == replicas


@pytest.mark.parametrize(
    ("use", "percent", "average"),
    [(100, 4, 4), (200, 6, 6), (40, 3, 3), (130, 4, 4)],
)
def test_who_is_missing_never_makes_a_step_larger(use, percent, average):
    four = [pod(f"p{number}") for number in range(4)]
    reading = measured(four, p0=use, p1=use, p2=use)
    assert by_utilization(reading, 4, 100, Tolerances()).replicas == percent
    assert by_average(reading, 4, 100, Tolerances()).replicas == average


def test_waiting_pods_are_idle_where_others_have_too_much():
    reading = measured([pod("a"), pod("b", phase="Pending")], a=300)
    assert by_utilization(reading, 2, 100, Tolerances()).replicas == 3
    assert by_average(reading, 2, 100, Tolerances()).replicas == 3


@pytest.mark.parametrize(
    ("own", "container", "percent"),
    [({"cpu": "400m"}, "", 25), ({"memory": "1Gi"}, "", 50), ({"cpu": "400m"}, "side", 100)],
)
def test_what_a_pod_requests_as_a_whole_goes_before_its_containers(own, container, percent):
    behind = [pod("a", own=own, main="100m", side="100m")]
    asked = by_utilization(measured(behind, a=100), 1, 50, Tolerances(), container)
    assert asked.percent == percent


def test_a_container_that_a_pod_does_not_have_is_named():
    behind = [pod("a", main="100m")]
    with pytest.raises(Unanswered, match="container side not found in Pod a"):
        by_utilization(measured(behind, a=100), 1, 50, Tolerances(), "side")


@pytest.mark.parametrize(
    ("name", "container", "target", "use", "shown", "reason"),
    [
        ("cpu", "", {"type": "AverageValue", "averageValue": "50m"}, 100_000, "100m",
         "cpu resource"),
        ("memory", "", {"type": "AverageValue", "averageValue": "1Mi"}, 4 << 20, "4Mi",
         "memory resource"),
        ("memory", "main", {"type": "AverageValue", "averageValue": "1Mi"}, (4 << 20) + 1,
         "4194305", "memory resource"),
        ("cpu", "main", {"type": "Utilization", "averageUtilization": 10}, 100_000, "100m",
         "cpu container resource utilization (percentage of request)"),
    ],
)  # fmt: skip
def test_amounts_of_memory_are_told_as_memory_is(name, container, target, use, shown, reason):
    source = {"name": name, "target": target}
    metric = {"type": "Resource", "resource": source}
    if container:
        source["container"] = container
        metric = {"type": "ContainerResource", "containerResource": source}
    milli = use // 1000 if name == "cpu" else use * 1000
    reading = {"a": Sample(milli, NOW - 10, 30)}
    todo = plan(autoscaler(metric), found(1, pod("a")), reading)
    [told] = todo.status.current_metrics
    status = told.container_resource if container else told.resource
    assert status.current.average_value == shown
    assert todo.why == f"{reason} above target"


@pytest.mark.parametrize(
    ("container", "error"),
    [
        ("", "failed to get cpu resource metric value: failed to get cpu usage: "),
        ("main", "failed to get main container metric value: failed to get cpu usage: "),
    ],
)
def test_what_failed_is_told_by_the_resource_or_the_container(container, error):
    source = {"name": "cpu", "container": container}
    source["target"] = {"type": "AverageValue", "averageValue": "50m"}
    kind, member = "Resource", "resource"
    if container:
        kind, member = "ContainerResource", "containerResource"
    todo = plan(autoscaler({"type": kind, member: source}), found(1, pod("a")), Unread("gone"))
    assert error + "unable to get metrics for resource cpu: gone" in todo.notes[-1].message


@pytest.mark.parametrize(
    ("metric", "inner"), [(QUEUE, "jobs external metric"), (WHOLE, "external metric jobs")]
)
def test_an_external_metric_that_failed_is_named(metric, inner):
    todo = plan(autoscaler(metric), found(1), Unread("gone"))
    assert todo.notes[0].message == "unable to get external metric default/jobs/nil: gone"
    assert todo.notes[-1].message == (
        "invalid metrics (1 invalid out of 1), first error is: failed to get jobs external metric "
        f"value: failed to get {inner}: {todo.notes[0].message}"
    )


def test_a_pod_that_requests_only_something_else_is_named():
    behind = [pod("a", own={"memory": "1Gi"}, main="")]
    with pytest.raises(Unanswered, match="missing pod-level request for cpu in Pod a"):
        by_utilization(measured(behind, a=100), 1, 50, Tolerances())


steps = st.lists(st.tuples(st.integers(0, 400), st.integers(1, 90)), min_size=1, max_size=30)


@given(steps, st.integers(1, 6), st.integers(1, 6), st.integers(15, 120), st.integers(0, 120))
def test_over_many_steps_no_period_sees_more_than_its_policy(loads, up, down, period, window):
    """``past`` has the replicas at any time; only the autoscaler changes them here."""
    behavior = Behavior(
        scale_up=rules(("Pods", up), period=period, window=window),
        scale_down=rules(("Pods", down), period=period, window=window),
    )
    scaler = autoscaler(least=2, most=30, behavior=behavior)
    size, now, history, past = 2, NOW, History(), [(NOW - 10_000, 2)]
    for load, gap in loads:
        now += gap
        todo = plan(scaler, found(size), Total(load * 1000), history=history, now=now)
        after = size if todo.replicas is None else todo.replicas
        began = next(many for at, many in reversed(past) if at <= now - period)
        assert 2 <= after <= 30
        assert after <= max(began + up, size)
        assert after >= min(began - down, size)
        past.append((now, after))
        size, history, scaler = after, todo.history, replace(scaler, status=todo.status)
        again = plan(scaler, found(size), Total(load * 1000), history=history, now=now)
        assert again.replicas is None
