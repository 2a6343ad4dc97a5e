"""Zones: how many silent nodes are too many to believe that it is they who fail."""

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilothouse.services.controllers.adapters.node.nodezones import EXCLUDED, Zones, zone_of
from pilothouse.services.controllers.node import lifecycle, podgc, zones
from pilothouse.services.controllers.node.zones import Census, Rates, State
from pilothouse.services.machinery.conditions import Condition
from pilothouse.services.machinery.kinds import nodes, pods
from pilothouse.services.machinery.kinds.nodes import Node, Spec, Status, Taint
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.objects import Metadata

RATES = Rates()
NOW = 1_000_000.0
EVICTING = Taint(key=nodes.UNREACHABLE, effect="NoExecute")


def node(name, *, ready=True, zone="z", taints=()):
    told = Condition(type="Ready", status="True" if ready else "Unknown")
    labels = {"topology.kubernetes.io/zone": zone} if zone else {}
    return Node(
        metadata=Metadata(name=name, labels=labels),
        spec=Spec(taints=tuple(taints)),
        status=Status(conditions=(told,)),
    )


@pytest.mark.parametrize(
    ("ready", "not_ready", "state", "rate"),
    [
        (3, 0, State.NORMAL, 0.1),
        (1, 2, State.NORMAL, 0.1),
        (0, 1, State.FULL, 0.1),
        (2, 3, State.PARTIAL, 0.0),
        (40, 60, State.PARTIAL, 0.01),
        (60, 40, State.NORMAL, 0.1),
        (0, 0, State.NORMAL, 0.1),
    ],
)
def test_the_state_of_a_zone_and_what_it_allows(ready, not_ready, state, rate):
    census = Census(ready, not_ready)
    assert (zones.state(census, RATES), zones.rate(census, RATES)) == (state, rate)


def test_nobody_is_believed_dead_where_nobody_is_heard_of():
    assert zones.is_all_disrupted([Census(0, 2), Census(0, 1)], RATES)
    assert not zones.is_all_disrupted([Census(0, 2), Census(1, 0)], RATES)
    assert not zones.is_all_disrupted([], RATES)
    lost = lifecycle.plan(node("a"), 60, 50, NOW, None)
    assert {taint.effect for taint in lost.taints} == {"NoSchedule"}
    back = lifecycle.plan(node("a", ready=False, taints=(EVICTING,)), 60, 50, NOW, None)
    assert EVICTING not in back.taints


def test_a_node_waits_for_its_turn():
    todo = lifecycle.plan(node("a"), 60, 50, NOW, 7.0)
    assert {taint.effect for taint in todo.taints} == {"NoSchedule"}
    assert (todo.again_after, lifecycle.is_driven(node("a"), todo)) == (7.0, False)
    assert lifecycle.is_driven(node("a"), lifecycle.plan(node("a"), 60, 50, NOW))


def test_turns_come_one_after_the_other_and_are_kept_until_used():
    counted = Zones(Rates(eviction=0.1))
    all_ = [node("a", ready=False), node("b", ready=False), node("c"), node("d")]
    for item in all_:
        counted.count(None, item)
    first, second = all_[0], all_[1]
    assert counted.wait_seconds(first, NOW) == 0.0
    assert counted.wait_seconds(first, NOW + 1) == 0.0
    assert counted.wait_seconds(second, NOW + 1) == 9.0
    counted.count(first, node("a", ready=False, taints=(EVICTING,)))
    assert counted.wait_seconds(first, NOW + 1) == 9.0
    assert counted.wait_seconds(second, NOW + 10) == 0.0
    told = {family.name: family.samples for family in counted.families()}
    assert told["node_collector_zone_size"][0][1:3] == ((("zone", ":\x00:z"),), 4)
    assert told["node_collector_evictions_total"][0][2] == 2


def test_a_zone_is_known_by_its_older_names_too():
    older = "failure-domain.beta.kubernetes.io"
    found = node("a", zone="")
    labels = {f"{older}/zone": "z", f"{older}/region": "r"}
    found = msgspec.structs.replace(found, metadata=Metadata(name="a", labels=labels))
    assert zone_of(found) == "r:\x00:z"
    assert zone_of(node("a")) == ":\x00:z"
    assert zone_of(node("a", zone="")) == ""


def test_a_zone_that_is_disrupted_in_part_stops():
    counted = Zones(RATES)
    many = [node(f"n{number}", ready=number < 2) for number in range(5)]
    for item in many:
        counted.count(None, item)
    assert counted.wait_seconds(many[4], NOW) is None
    assert counted.not_ready() == ["n2", "n3", "n4"]
    assert counted.count(many[2], node("n2"))
    assert counted.wait_seconds(many[4], NOW) == 0.0


def test_a_node_that_is_excluded_says_nothing_of_its_zone_and_is_looked_at_all_the_same():
    counted = Zones(RATES)
    for number in range(5):
        item = node(f"n{number}", ready=number < 2)
        metadata = msgspec.structs.replace(
            item.metadata, labels={**item.metadata.labels, EXCLUDED: ""}
        )
        counted.count(None, msgspec.structs.replace(item, metadata=metadata) if number else item)
    sizes = {family.name: family.samples for family in counted.families()}
    assert sizes["node_collector_zone_size"][0][2] == 1
    assert counted.wait_seconds(node("n4", ready=False), NOW) == 0.0
    assert counted.not_ready() == ["n2", "n3", "n4"]
    assert not counted.all_disrupted
    assert counted.count(node("n0"), node("n0", ready=False))
    assert counted.all_disrupted


@settings(deadline=None)
@given(
    st.lists(st.floats(0, 30), min_size=1, max_size=40),
    st.sampled_from([0.1, 0.5, 2.0]),
    st.integers(1, 3),
)
def test_no_zone_loses_more_nodes_than_its_bucket_has_turns(pauses, rate, zones_many):
    counted = Zones(Rates(eviction=rate, unhealthy_threshold=2.0))
    lost = [node(f"n{n}", ready=False, zone=f"z{n % zones_many}") for n in range(20)]
    for item in [*lost, *(node(f"r{n}", zone=f"z{n}") for n in range(zones_many))]:
        counted.count(None, item)
    now, given_ = NOW, []
    for pause in pauses:
        now += pause
        for item in lost:
            if counted.wait_seconds(item, now) == 0.0:
                tainted = msgspec.structs.replace(item, spec=Spec(taints=(EVICTING,)))
                counted.count(item, tainted)
                lost = [other for other in lost if other is not item]
                given_.append((now, item.metadata.labels["topology.kubernetes.io/zone"]))
    for zone in {zone for _, zone in given_}:
        times = [at for at, told in given_ if told == zone]
        assert all(b - a >= 1 / rate - 1e-6 for a, b in pairwise(times))


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from("xy"), st.booleans(), st.booleans())))
def test_nodes_are_counted_as_they_are(steps):
    counted, there = Zones(RATES), {}
    for number, zone, ready, goes in steps:
        name = f"n{number}"
        new = None if goes else node(name, zone=zone, ready=ready)
        if new is None and name not in there:
            continue
        counted.count(there.get(name), new)
        there[name] = new
        there = {name: item for name, item in there.items() if item is not None}
    sizes = next(family for family in counted.families() if family.name.endswith("zone_size"))
    assert sum(sample[2] for sample in sizes.samples) == len(there)
    silent = {name for name, item in there.items() if item.status.conditions[0].status != "True"}
    assert set(counted.not_ready()) == silent
    assert counted.all_disrupted == (bool(there) and len(silent) == len(there))


def pod(*, deleting=True, phase="Running"):
    stamp = "2026-01-01T00:00:00Z" if deleting else None
    return Pod(
        metadata=Metadata(name="p", deletion_timestamp=stamp),
        spec=pods.Spec(node_name="a"),
        status=pods.Status(phase=phase),
    )


def test_pods_go_from_a_node_out_of_service_and_when_too_many_have_ended():
    assert podgc.plan(pod(), None, out_of_service=True) == podgc.Plan(delete=True)
    assert not podgc.plan(pod(deleting=False), None, out_of_service=True).delete
    assert not podgc.plan(pod(), None).delete
    assert podgc.plan(pod(deleting=False, phase="Failed"), None, surplus=True).delete
    assert not podgc.plan(pod(deleting=False), None, surplus=True).delete


@given(st.booleans(), st.floats(0, 200), st.sampled_from([None, 0.0, 5.0]))
def test_what_is_written_needs_no_second_writing(ready, silent, wait):
    before = node("a", ready=ready)
    todo = lifecycle.plan(before, silent, 50, NOW, wait)
    after = msgspec.structs.replace(
        before, spec=Spec(taints=todo.taints), status=Status(conditions=todo.conditions)
    )
    again = lifecycle.plan(after, silent, 50, NOW + 1, wait)
    assert (again.conditions, again.taints) == (todo.conditions, todo.taints)
