"""Nodes: silence, taints, evictions, addresses, and pods that lost their node."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.controllers.node import lifecycle, podgc, taints
from pilothouse.services.controllers.node.taints import Tainted
from pilothouse.services.machinery import conditions, timestamps
from pilothouse.services.machinery.conditions import Condition
from pilothouse.services.machinery.kinds import nodes, pods
from pilothouse.services.machinery.kinds.nodes import Node, Spec, Status, Taint
from pilothouse.services.machinery.kinds.pods import Pod, Toleration
from pilothouse.services.machinery.objects import Metadata

NOW = 1_000_000.0
GRACE = 50.0
replace = msgspec.structs.replace


def node(ready="True", *, taints=(), unschedulable=False, more=()):
    told = (Condition(type="Ready", status=ready, reason="KubeletReady"),) if ready else ()
    return Node(
        metadata=Metadata(name="node-1"),
        spec=Spec(taints=tuple(taints), unschedulable=unschedulable),
        status=Status(conditions=(*told, *more)),
    )


def effects(todo):
    return {(taint.key, taint.effect) for taint in todo.taints}


def test_a_node_that_speaks_is_left_alone_until_it_might_have_fallen_silent():
    todo = lifecycle.plan(node(), 20.0, GRACE, NOW)
    assert (todo.conditions, todo.taints) == (node().status.conditions, ())
    assert (todo.lost, todo.again_after) == (False, 30.0)


def test_a_silent_node_is_unknown_and_keeps_others_off():
    todo = lifecycle.plan(node(), GRACE, GRACE, NOW)
    assert {item.type: item.status for item in todo.conditions} == dict.fromkeys(
        lifecycle.WATCHED, "Unknown"
    )
    assert conditions.find(todo.conditions, "Ready").reason == "NodeStatusUnknown"
    assert conditions.find(todo.conditions, "DiskPressure").reason == "NodeStatusNeverUpdated"
    assert effects(todo) == {(nodes.UNREACHABLE, "NoSchedule"), (nodes.UNREACHABLE, "NoExecute")}
    assert todo.lost
    assert todo.again_after is None


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (node("False"), {(nodes.NOT_READY, "NoSchedule"), (nodes.NOT_READY, "NoExecute")}),
        (node(""), {(nodes.NOT_READY, "NoSchedule")}),
        (node(unschedulable=True), {(nodes.UNSCHEDULABLE, "NoSchedule")}),
        (
            node(more=(Condition(type="DiskPressure", status="True"),)),
            {("node.kubernetes.io/disk-pressure", "NoSchedule")},
        ),
    ],
    ids=["not ready", "never told", "cordoned", "pressure"],
)
def test_taints_follow_from_conditions(said, wanted):
    assert effects(lifecycle.plan(said, 0, GRACE, NOW)) == wanted


def test_taints_go_with_their_reason_and_those_of_others_stay():
    theirs = Taint(key="team", effect="NoSchedule", value="a")
    old = Taint(key=nodes.UNREACHABLE, effect="NoExecute", time_added="2026-01-01T00:00:00Z")
    assert lifecycle.plan(node(taints=(theirs, old)), 0, GRACE, NOW).taints == (theirs,)
    kept = lifecycle.plan(node("Unknown", taints=(old,)), 0, GRACE, NOW)
    assert old in kept.taints


@pytest.mark.parametrize("effect", ["NoExecute", "PreferNoSchedule"])
@pytest.mark.parametrize("key", [nodes.UNSCHEDULABLE, "node.kubernetes.io/memory-pressure"])
def test_a_key_of_ours_with_an_effect_that_we_never_give_is_somebody_elses(key, effect):
    theirs = Taint(key=key, effect=effect)
    assert lifecycle.plan(node(taints=(theirs,)), 0, GRACE, NOW).taints == (theirs,)
    ours = Taint(key=key, effect="NoSchedule")
    assert lifecycle.plan(node(taints=(ours,)), 0, GRACE, NOW).taints == ()


def test_a_condition_that_no_kubelet_ever_wrote_was_last_heard_of_at_birth():
    born = replace(node("").metadata, creation_timestamp="2026-01-01T00:00:00Z")
    todo = lifecycle.plan(replace(node(""), metadata=born), GRACE, GRACE, NOW)
    for item in todo.conditions:
        assert (item.reason, item.message) == (
            "NodeStatusNeverUpdated",
            "Kubelet never posted node status.",
        )
        assert item.last_heartbeat_time == "2026-01-01T00:00:00Z"
    stopped = conditions.find(lifecycle.plan(node(), GRACE, GRACE, NOW).conditions, "Ready")
    assert stopped.message == "Kubelet stopped posting node status."


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ({}, {}),
        ({"kubernetes.io/os": "linux"}, {"beta.kubernetes.io/os": "linux"}),
        ({"beta.kubernetes.io/arch": "arm"}, {}),
        (
            {"kubernetes.io/arch": "amd64", "beta.kubernetes.io/arch": "arm"},
            {"beta.kubernetes.io/arch": "amd64"},
        ),
        ({"kubernetes.io/os": "linux", "beta.kubernetes.io/os": "linux"}, {}),
    ],
)
def test_labels_have_their_older_names_too(told, wanted):
    labelled = replace(node(), metadata=Metadata(name="n", labels=told))
    assert lifecycle.plan(labelled, 0, GRACE, NOW).labels == wanted


@given(st.sampled_from(["True", "False", "Unknown", ""]), st.floats(0, 200))
def test_what_is_written_needs_no_second_writing(ready, silent):
    todo = lifecycle.plan(node(ready), silent, GRACE, NOW)
    after = replace(
        node(ready), spec=Spec(taints=todo.taints), status=Status(conditions=todo.conditions)
    )
    again = lifecycle.plan(after, silent, GRACE, NOW + 7)
    assert (again.conditions, again.taints) == (todo.conditions, todo.taints)


def pod(*tolerations, node_name="node-1", deleting=False):
    return Pod(
        metadata=Metadata(
            name="p", deletion_timestamp="2026-01-01T00:00:00Z" if deleting else None
        ),
        spec=pods.Spec(node_name=node_name, tolerations=tolerations),
    )


LOST = Tainted(Taint(key=nodes.UNREACHABLE, effect="NoExecute"), NOW - 100)


@pytest.mark.parametrize(
    ("tolerations", "evict", "again"),
    [
        ((), True, None),
        ((Toleration(operator="Exists"),), False, None),
        ((Toleration(operator="Exists", toleration_seconds=300),), False, 200),
        ((Toleration(operator="Exists", toleration_seconds=100),), True, None),
        ((Toleration(operator="Exists", toleration_seconds=-5),), True, None),
        ((Toleration(key="other", operator="Exists"),), True, None),
        ((Toleration(key=nodes.UNREACHABLE, operator="Exists", effect="NoSchedule"),), True, None),
    ],
    ids=["none", "all", "for a while", "no longer", "never", "another", "another effect"],
)
def test_pods_stay_as_long_as_they_tolerate(tolerations, evict, again):
    assert taints.plan(pod(*tolerations), [LOST], NOW) == taints.Plan(evict, again)


SLOW = Tainted(Taint(key="slow", effect="NoExecute", value="very"), NOW - 10)


@pytest.mark.parametrize(
    ("tolerations", "evict", "again"),
    [
        # The shortest of all taints counts, and one that is not tolerated counts at once.
        ([("slow", 30), (nodes.UNREACHABLE, 300)], False, 20),
        ([("slow", 300), (nodes.UNREACHABLE, 110)], False, 10),
        ([("slow", 300)], True, None),
        ([("slow", None), (nodes.UNREACHABLE, None)], False, None),
        ([("slow", None), (nodes.UNREACHABLE, 150)], False, 50),
        # Of several tolerations of one taint the first counts.
        ([("", None), ("slow", 1)], False, None),
        ([("slow", 60), ("", None)], False, 50),
        ([("slow", 60), ("slow", 20), (nodes.UNREACHABLE, None)], False, 50),
    ],
)
def test_of_several_taints_the_one_tolerated_least_counts(tolerations, evict, again):
    given_ = [
        Toleration(key=key, operator="Exists", toleration_seconds=seconds)
        for key, seconds in tolerations
    ]
    assert taints.plan(pod(*given_), [LOST, SLOW], NOW) == taints.Plan(evict, again)


def test_a_taint_that_goes_lets_the_pod_stay():
    patient = pod(Toleration(operator="Exists", toleration_seconds=300))
    assert taints.plan(patient, [LOST, SLOW], NOW).again_after == 200
    assert taints.plan(patient, [SLOW], NOW).again_after == 290
    assert taints.plan(patient, [], NOW) == taints.Plan(evict=False, again_after=None)


def test_one_that_comes_to_a_node_long_tainted_has_its_full_time():
    patient = pod(Toleration(operator="Exists", toleration_seconds=60))
    born = replace(patient.metadata, creation_timestamp=timestamps.render(NOW - 20))
    late = replace(patient, metadata=born)
    assert taints.plan(patient, [LOST], NOW).evict
    assert taints.plan(late, [LOST], NOW) == taints.Plan(evict=False, again_after=40)


def test_a_pod_without_taints_or_on_its_way_out_is_not_evicted():
    assert not taints.plan(pod(), [], NOW).evict
    assert not taints.plan(pod(deleting=True), [LOST], NOW).evict


def test_pods_of_missing_nodes_go_after_the_quarantine():
    assert podgc.plan(pod(), None) == podgc.Plan(delete=False, orphaned=False, again_after=None)
    assert podgc.plan(pod(), 10).again_after == podgc.QUARANTINE_SECONDS - 10
    assert podgc.plan(pod(), podgc.QUARANTINE_SECONDS).orphaned


def test_a_pod_that_never_had_a_node_goes_at_once_when_it_is_deleted():
    assert podgc.plan(pod(node_name="", deleting=True), None).delete
    assert not podgc.plan(pod(node_name=""), None).delete
