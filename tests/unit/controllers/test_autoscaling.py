"""Autoscalers: what metrics ask for, how fast it may come, and what is said of it."""

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.controllers.autoscaling import horizontalpodautoscaler as controller
from pilothouse.services.controllers.autoscaling.sizes import rates
from pilothouse.services.controllers.autoscaling.sizes.proposals import Total, Unread
from pilothouse.services.controllers.autoscaling.sizes.rates import Bounds, History, Moment
from pilothouse.services.controllers.autoscaling.sizes.samples import Sample
from pilothouse.services.controllers.autoscaling.sizes.target import Found
from pilothouse.services.controllers.autoscaling.sizes.verdict import Past, Settings, refused
from pilothouse.services.machinery import conditions, timestamps
from pilothouse.services.machinery.conditions import Condition
from pilothouse.services.machinery.kinds import autoscaling, pods
from pilothouse.services.machinery.kinds.autoscaling import Behavior, Policy, Rules
from pilothouse.services.machinery.objects import Key, Metadata

NOW = 1_000_000.0
SELECTOR = "app=web"
replace = msgspec.structs.replace
CALM = History(recommended=(Moment(0, NOW - 10),))
CPU = {
    "type": "Resource",
    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
}


def autoscaler(*metrics, least=1, most=10, behavior=None):
    metrics = msgspec.convert(metrics or (CPU,), tuple[autoscaling.Metric, ...])
    return autoscaling.HorizontalPodAutoscaler(
        metadata=Metadata(name="web", namespace="default", generation=3),
        spec=autoscaling.Spec(
            scale_target_ref=autoscaling.Reference(kind="Deployment", name="web"),
            min_replicas=least, max_replicas=most, metrics=metrics, behavior=behavior,
        ),
    )  # fmt: skip


def pod(name, *, ready=True, phase="Running", age=3600, request="100m", deleting=False, since=None):
    stamp = timestamps.render(NOW - age)
    changed = timestamps.render(NOW - (age if since is None else since))
    told = Condition(type="Ready", status=str(ready), last_transition_time=changed)
    amounts = {"cpu": request} if request else {}
    return pods.Pod(
        metadata=Metadata(name=name, deletion_timestamp=stamp if deleting else None),
        spec=pods.Spec(
            containers=(pods.Container(name="main", resources=pods.Resources(requests=amounts)),)
        ),
        status=pods.Status(phase=phase, conditions=(told,), start_time=stamp),
    )


def found(*behind, wanted=None, status=None, selecting=(), selector=SELECTOR):
    count = len(behind) if wanted is None else wanted
    scale = autoscaling.Scale(
        spec=autoscaling.ScaleSpec(replicas=count),
        status=autoscaling.ScaleStatus(
            replicas=count if status is None else status, selector=selector
        ),
    )
    return Found(scale, behind, selecting=selecting)


def samples(**milli):
    return {name: Sample(amount, NOW - 10, 30) for name, amount in milli.items()}


def past(history=None, **settings):
    return Past(history or History(), Settings(**settings), NOW)


def plan(scaler, target, *readings, history=None):
    return controller.plan(scaler, target, readings, past(history))


def said(todo, type_):
    told = conditions.find(todo.status.conditions, type_)
    return told and (told.status, told.reason)


def test_twice_the_use_asks_for_twice_the_pods():
    todo = plan(autoscaler(), found(pod("a"), pod("b")), samples(a=100, b=100))
    assert todo.replicas == 4
    assert said(todo, "AbleToScale") == ("True", "SucceededRescale")
    assert said(todo, "ScalingActive") == ("True", "ValidMetricFound")
    assert said(todo, "ScalingLimited") == ("False", "DesiredWithinRange")
    assert todo.notes[-1].message == (
        "New size: 4; reason: cpu resource utilization (percentage of request) above target"
    )
    [current] = todo.status.current_metrics
    assert current.resource.current.average_utilization == 100
    assert current.resource.current.average_value == "100m"
    assert (todo.status.current_replicas, todo.status.desired_replicas) == (2, 4)
    assert todo.status.last_scale_time == timestamps.render(NOW)


@pytest.mark.parametrize(
    ("use", "replicas"),
    [(50, None), (54, None), (55, None), (56, 3), (46, None), (45, None), (44, None), (20, 1)],
)
def test_a_little_more_or_less_changes_nothing(use, replicas):
    two = found(pod("a"), pod("b"))
    todo = plan(autoscaler(), two, samples(a=use, b=use), history=CALM)
    assert todo.replicas == replicas


@pytest.mark.parametrize(
    ("tolerance", "use", "replicas"), [("0", 52, 3), ("500m", 70, None), (None, 52, None)]
)
def test_each_direction_may_have_a_tolerance_of_its_own(tolerance, use, replicas):
    up = Rules(
        stabilization_window_seconds=0, select_policy="Max", policies=(Policy(value=9),),
        tolerance=tolerance,
    )  # fmt: skip
    scaler = autoscaler(behavior=Behavior(scale_up=up, scale_down=up))
    assert plan(scaler, found(pod("a"), pod("b")), samples(a=use, b=use)).replicas == replicas


def test_pods_that_just_start_count_as_idle_before_anything_grows():
    target = found(pod("a"), pod("b", age=60, since=5))
    assert plan(autoscaler(), target, samples(a=100, b=300)).replicas is None
    late = found(pod("a"), pod("b", age=60, since=50))
    assert plan(autoscaler(), late, samples(a=100, b=300)).replicas == 4


def test_a_pod_that_was_never_ready_says_nothing_and_one_that_was_does():
    never = pod("b", ready=False, age=600, since=590)
    fell = pod("b", ready=False, age=600, since=100)
    assert plan(autoscaler(), found(pod("a"), never), samples(a=50, b=500)).replicas is None
    assert plan(autoscaler(), found(pod("a"), fell), samples(a=50, b=150)).replicas == 4


def test_pods_without_samples_are_idle_upward_and_busy_downward():
    four = found(pod("a"), pod("b"), pod("c"), pod("d"))
    assert plan(autoscaler(), four, samples(a=100, b=100)).replicas is None
    assert plan(autoscaler(), four, samples(a=10, b=10, c=10), history=CALM).replicas == 3
    assert plan(autoscaler(), four, samples(a=10, b=10), history=CALM).replicas is None


def test_pods_that_go_or_failed_are_left_out():
    target = found(pod("a"), pod("b", phase="Failed"), pod("c", deleting=True), wanted=1)
    assert plan(autoscaler(), target, samples(a=150, b=900, c=900)).replicas == 3


def test_a_missing_request_is_named():
    todo = plan(autoscaler(), found(pod("a", request="")), samples(a=1))
    told = conditions.find(todo.status.conditions, "ScalingActive")
    assert told.reason == "FailedGetResourceMetric"
    assert told.message == (
        "the HPA was unable to compute the replica count: failed to get cpu utilization: "
        "missing request for cpu in container main of Pod a"
    )
    reasons = [note.reason for note in todo.notes]
    assert reasons == ["FailedGetResourceMetric", "FailedComputeMetricsReplicas"]
    assert todo.replicas is None


def value(kind, name, target, **more):
    return {"type": kind.capitalize(), kind: {"metric": {"name": name}, "target": target, **more}}


def test_pods_object_and_external_metrics():
    pods_metric = value("pods", "hits", {"type": "AverageValue", "averageValue": "10"})
    two = found(pod("a"), pod("b"))
    todo = plan(autoscaler(pods_metric), two, samples(a=20_000, b=20_000))
    assert todo.replicas == 4
    assert todo.status.current_metrics[0].pods.current.average_value == "20"
    whole = value(
        "object", "queue", {"type": "Value", "value": "100"},
        describedObject={"kind": "Service", "name": "q", "apiVersion": "v1"},
    )  # fmt: skip
    todo = plan(autoscaler(whole), two, Total(150_000))
    assert (todo.replicas, todo.status.current_metrics[0].object.current.value) == (3, "150")
    each = value("external", "jobs", {"type": "AverageValue", "averageValue": "10"})
    todo = plan(autoscaler(each), two, Total(35_000))
    assert todo.replicas == 4
    assert todo.status.current_metrics[0].external.current.average_value == "17500m"


def test_a_container_alone_may_be_asked_for():
    metric = {
        "type": "ContainerResource",
        "containerResource": {
            "name": "cpu", "container": "main",
            "target": {"type": "Utilization", "averageUtilization": 50},
        },
    }  # fmt: skip
    todo = plan(autoscaler(metric), found(pod("a")), samples(a=100))
    assert todo.replicas == 2
    assert "cpu container resource utilization" in todo.notes[-1].message
    assert todo.status.current_metrics[0].container_resource.container == "main"


def test_nothing_scales_to_zero_or_from_it_unless_it_may():
    jobs = value("external", "jobs", {"type": "AverageValue", "averageValue": "10"})
    assert plan(autoscaler(jobs, least=0), found(pod("a")), Total(0)).replicas is None
    kept = History(recommended=(Moment(0, NOW - 10),))
    scaler = autoscaler(jobs, least=0)
    assert plan(scaler, found(pod("a")), Total(0), history=kept).replicas == 0
    off = plan(scaler, found(wanted=0), Total(25_000))
    assert off.replicas is None
    assert said(off, "ScalingActive") == ("False", "ScalingDisabled")
    assert said(off, "ScaledToZero") is None


def test_bounds_come_before_metrics():
    above = plan(autoscaler(most=3), found(wanted=5))
    assert above.replicas == 3
    assert above.notes[0].message == (
        "New size: 3; reason: Current number of replicas above Spec.MaxReplicas"
    )
    assert plan(autoscaler(least=2), found(wanted=1)).replicas == 2


def test_some_metrics_missing_may_grow_and_not_shrink():
    other = value("external", "jobs", {"type": "AverageValue", "averageValue": "10"})
    scaler = autoscaler(CPU, other)
    two = found(pod("a"), pod("b"))
    grown = plan(scaler, two, Unread("gone"), Total(40_000))
    assert grown.replicas == 4
    assert said(grown, "ScalingActive") == ("True", "ValidMetricFound")
    kept = plan(scaler, two, Unread("gone"), Total(10_000))
    assert kept.replicas is None
    assert said(kept, "ScalingActive") == ("False", "FailedGetResourceMetric")
    assert kept.notes[-1].message == (
        "invalid metrics (1 invalid out of 2), first error is: failed to get cpu resource metric "
        "value: failed to get cpu utilization: unable to get metrics for resource cpu: gone"
    )


def test_targets_that_cannot_be_measured_say_so():
    lost = controller.plan(autoscaler(), Found(None, error="not there"), (), past())
    assert said(lost, "AbleToScale") == ("False", "FailedGetScale")
    blind = plan(autoscaler(), found(pod("a"), selector=""))
    assert said(blind, "ScalingActive") == ("False", "InvalidSelector")
    rivals = (Key("default", "web"), Key("default", "other"))
    torn = plan(autoscaler(), found(pod("a"), selecting=rivals))
    assert said(torn, "ScalingActive") == ("False", "AmbiguousSelector")
    assert torn.notes[0].message == (
        "pods by selector app=web are controlled by multiple HPAs: [default/other default/web]"
    )


def test_a_refused_write_is_told_and_forgotten():
    scaler = autoscaler()
    todo = plan(scaler, found(pod("a")), samples(a=100))
    left = refused(scaler, todo, "no", past())
    told = conditions.find(left.status.conditions, "AbleToScale")
    assert (told.status, told.reason) == ("False", "FailedUpdateScale")
    assert left.notes[-1].message.startswith("New size: 2; reason: cpu")
    assert left.history == History()


BOUNDS = Bounds(1, 100)


def normal(wanted, current, behavior=None, *, recommended=(), grown=(), shrunk=()):
    history = History(tuple(recommended), tuple(grown), tuple(shrunk))
    return rates.normalize(history, current, wanted, BOUNDS, behavior, NOW)


def test_what_shrinks_waits_for_the_highest_of_the_window():
    recent = [Moment(8, NOW - 299), Moment(20, NOW - 301)]
    kept = normal(2, 10, recommended=recent)
    assert (kept.replicas, kept.able.reason) == (8, "ScaleDownStabilized")
    assert normal(2, 10, recommended=[Moment(2, NOW - 10)]).replicas == 2


def test_without_rules_growth_doubles_at_most():
    quick = normal(50, 10)
    assert (quick.replicas, quick.limited.reason) == (20, "ScaleUpLimit")
    assert normal(50, 1).replicas == 4
    assert normal(500, 90).limited.reason == "TooManyReplicas"
    assert normal(500, 90).replicas == 100


def rules(*policies, select="Max", window=0):
    listed = tuple(Policy(type=kind, value=size, period_seconds=60) for kind, size in policies)
    return Rules(stabilization_window_seconds=window, select_policy=select, policies=listed)


def test_policies_limit_each_period():
    behavior = Behavior(
        scale_up=rules(("Pods", 4), ("Percent", 100)), scale_down=rules(("Pods", 2))
    )
    assert normal(50, 10, behavior).replicas == 20
    assert normal(50, 10, behavior, grown=[Moment(4, NOW - 30)]).replicas == 12
    assert normal(50, 10, behavior, grown=[Moment(4, NOW - 61)]).replicas == 20
    slow = normal(1, 10, behavior, recommended=[Moment(1, NOW - 10)])
    assert (slow.replicas, slow.limited.reason) == (8, "ScaleDownLimit")
    spent = [Moment(2, NOW - 30)]
    assert normal(1, 8, behavior, recommended=[Moment(1, NOW)], shrunk=spent).replicas == 8


def test_the_smallest_policy_or_none_may_be_chosen():
    least = Behavior(scale_up=rules(("Pods", 4), ("Percent", 10), select="Min"))
    assert normal(50, 10, least).replicas == 11
    never = Behavior(scale_up=rules(("Pods", 4), select="Disabled"))
    assert normal(50, 10, never).replicas == 10


def test_growth_may_be_steadied_too():
    behavior = Behavior(scale_up=rules(("Percent", 900), window=60))
    steady = normal(50, 10, behavior, recommended=[Moment(12, NOW - 30), Moment(10, NOW - 70)])
    assert (steady.replicas, steady.able.reason) == (12, "ScaleUpStabilized")


behaviors = st.none() | st.builds(
    Behavior,
    scale_up=st.builds(
        rules, st.tuples(st.sampled_from(["Pods", "Percent"]), st.integers(1, 200)),
        select=st.sampled_from(["Max", "Min", "Disabled"]), window=st.integers(0, 60),
    ),
    scale_down=st.builds(
        rules, st.tuples(st.sampled_from(["Pods", "Percent"]), st.integers(1, 100)),
        select=st.sampled_from(["Max", "Min", "Disabled"]), window=st.integers(0, 60),
    ),
)  # fmt: skip


@given(st.integers(1, 20), st.integers(0, 3000), behaviors, st.integers(1, 5), st.integers(5, 30))
def test_no_plan_leaves_its_bounds_or_does_what_it_did_again(count, use, behavior, least, most):
    scaler = autoscaler(least=least, most=most, behavior=behavior)
    names = [f"p{number}" for number in range(count)]
    readings = samples(**dict.fromkeys(names, use))
    todo = plan(scaler, found(*map(pod, names)), readings)
    size = count if todo.replicas is None else todo.replicas
    assert least <= size <= most or size == count
    if behavior is None and least <= count:
        assert size <= max(2 * count, 4)
    after = replace(scaler, status=todo.status)
    # The same load, spread over as many as there are now.
    share = dict.fromkeys((f"p{number}" for number in range(size)), use * count // size)
    again = plan(after, found(*map(pod, share)), samples(**share), history=todo.history)
    wanted = math.ceil(use * count / 50)
    if least <= count <= most and least <= wanted <= most and size == wanted:
        assert again.replicas is None
    still = plan(after, found(*map(pod, names)), readings, history=todo.history)
    if todo.replicas is None:
        assert still.replicas is None
        assert still.status == todo.status
