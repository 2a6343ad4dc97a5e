"""Hints of endpoints: near where it is asked for, shared out by CPU where that is."""

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.controllers.adapters.network import nodecapacity
from pilothouse.services.controllers.network import hints
from pilothouse.services.machinery.conditions import Condition
from pilothouse.services.machinery.kinds import nodes
from pilothouse.services.machinery.kinds.nodes import Node
from pilothouse.services.machinery.kinds.services import (
    Endpoint,
    EndpointConditions,
    Service,
    ServiceSpec,
)
from pilothouse.services.machinery.objects import Metadata


def service(distribution=None, mode=""):
    annotations = {hints.MODE: mode} if mode else {}
    return Service(
        metadata=Metadata(name="web", annotations=annotations),
        spec=ServiceSpec(traffic_distribution=distribution),
    )


def endpoint(zone, node="n", ready=True):
    return Endpoint(
        addresses=("10.0.0.1",), zone=zone, node_name=node,
        conditions=EndpointConditions(ready=ready),
    )  # fmt: skip


def names(item):
    if item.hints is None:
        return None
    return [each.name for each in item.hints.for_zones], [
        each.name for each in item.hints.for_nodes
    ]


@pytest.mark.parametrize(
    ("asked", "found", "wanted"),
    [
        (None, endpoint("a"), None),
        ("PreferClose", endpoint("a"), (["a"], [])),
        ("PreferSameZone", endpoint("a"), (["a"], [])),
        ("PreferSameZone", endpoint(None), None),
        ("PreferSameZone", endpoint("a", ready=False), None),
        ("PreferSameNode", endpoint("a"), (["a"], ["n"])),
        ("PreferSameNode", endpoint(None), ([], ["n"])),
    ],
)
def test_traffic_distribution(asked, found, wanted):
    [item] = hints.hinted(service(asked), [found], None)
    assert names(item) == wanted


def test_the_annotation_comes_before_the_field():
    both = [endpoint("a"), endpoint("b")]
    given = hints.hinted(service("PreferClose", "Auto"), both, {"a": 0.5, "b": 0.5})
    assert [names(item) for item in given] == [(["a"], []), (["b"], [])]
    none = hints.hinted(service("PreferClose", "Auto"), both, None)
    assert [item.hints for item in none] == [None, None]


ZONES = {"a": 0.5, "b": 0.5}


@pytest.mark.parametrize(
    ("found", "capacity", "why"),
    [
        ("ab", ZONES, ""),
        ("ab", None, "Insufficient Node information"),
        ("a", ZONES, "Insufficient number of endpoints (1 endpoints, 2 zones)"),
        ("ab", {"a": 0.1, "b": 0.9}, "Unable to allocate minimum required endpoints"),
        (["a", None, "b", "b"], ZONES, "One or more endpoints do not have a zone specified"),
    ],
)
def test_people_are_told_why_endpoints_are_not_shared_out(found, capacity, why):
    all_ = [endpoint(zone) for zone in found]
    [(_, reason, text)] = hints.notes(service(mode="Auto"), "IPv4", ([], all_), capacity)
    assert reason == f"TopologyAwareHints{'Disabled' if why else 'Enabled'}"
    assert text.startswith(why)
    assert not hints.notes(service("PreferClose"), "IPv4", ([], all_), capacity)
    given_ = hints.hinted(service(mode="Auto"), all_, capacity)
    assert any(item.hints for item in given_) == (not why)


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=40),
    st.lists(st.integers(1, 20), min_size=3, max_size=3),
)
def test_endpoints_are_shared_out_by_cpu_or_not_at_all(drawn, amounts):
    capacity = {zone: part / sum(amounts) for zone, part in zip("abc", amounts, strict=True)}
    found = [endpoint(zone, ready=ready) for zone, ready in drawn]
    given = hints.hinted(service(mode="Auto"), found, capacity)
    assert hints.hinted(service(mode="Auto"), given, capacity) == given
    shared = Counter(item.hints.for_zones[0].name for item in given if item.hints)
    ready = sum(item.conditions.ready for item in found)
    assert sum(shared.values()) in {0, ready}
    if shared:
        for zone, part in capacity.items():
            assert shared[zone] >= math.ceil(part * ready / (1 + hints.OVERLOAD))


def node(zone, cpu="4", ready="True", **labels):
    told = {"topology.kubernetes.io/zone": zone, **labels} if zone else labels
    return Node(
        metadata=Metadata(name="n", labels=told),
        status=nodes.Status(
            allocatable={"cpu": cpu}, conditions=(Condition(type="Ready", status=ready),)
        ),
    )


def test_zones_weigh_what_their_ready_nodes_have():
    assert nodecapacity.by_zone([node("a"), node("b", "12")]) == {"a": 0.25, "b": 0.75}
    assert nodecapacity.by_zone([node("a"), node("b", ready="Unknown")]) is None
    assert nodecapacity.by_zone([node("a"), node("b"), node("")]) is None
    control = {"node-role.kubernetes.io/control-plane": ""}
    assert nodecapacity.by_zone([node("a"), node("b"), node("", **control)]) == {
        "a": 0.5,
        "b": 0.5,
    }
