"""Hints: endpoints that are meant for others are left alone, unless none would be left."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.machinery.kinds.services import (
    Endpoint,
    EndpointConditions,
    EndpointPort,
    EndpointSlice,
    ForName,
    Hints,
    Service,
    ServicePort,
    ServiceSpec,
)
from pilothouse.services.machinery.objects import Metadata
from pilothouse.services.proxy.rules import service_rules

SERVICE = Service(
    metadata=Metadata(name="web", namespace="default"),
    spec=ServiceSpec(cluster_ip="10.96.0.9", ports=(ServicePort(port=80),)),
)


def endpoint(number, *, zones=(), nodes=(), ready=True, node="other", leaving=False):
    hints = None
    if zones or nodes:
        hints = Hints(
            for_zones=tuple(ForName(name=name) for name in zones),
            for_nodes=tuple(ForName(name=name) for name in nodes),
        )
    told = EndpointConditions(ready=ready, serving=ready or leaving, terminating=leaving)
    return Endpoint(addresses=(f"10.244.0.{number}",), conditions=told, node_name=node, hints=hints)


def seen(*endpoints, zone="here", node="mine"):
    item = EndpointSlice(endpoints=endpoints, ports=(EndpointPort(port=8080),))
    [rule] = service_rules(SERVICE, [item], node, zone)
    return {int(backend.address.rpartition(".")[2]) for backend in rule.endpoints}


@pytest.mark.parametrize(
    ("endpoints", "wanted"),
    [
        ((endpoint(1, zones=["here"]), endpoint(2, zones=["there"])), {1}),
        ((endpoint(1, zones=["here"]), endpoint(2)), {1, 2}),
        ((endpoint(1, zones=["there"]), endpoint(2, zones=["there"])), {1, 2}),
        ((endpoint(1, zones=["here"], nodes=["mine"]),
          endpoint(2, zones=["here"], nodes=["other"])), {1}),
        ((endpoint(1, zones=["here"], nodes=["a"]),
          endpoint(2, zones=["there"], nodes=["b"])), {1}),
        ((endpoint(1, zones=["here"]), endpoint(2, ready=False)), {1}),
        ((endpoint(1, zones=["here"], ready=False), endpoint(2, zones=["there"])), {2}),
        ((endpoint(1, zones=["there"], ready=False, leaving=True),), {1}),
    ],
    ids=["zone", "one without", "none here", "node", "node elsewhere", "unready does not count",
         "unready here", "only one that leaves"],
)  # fmt: skip
def test_endpoints_that_are_meant_for_this_node(endpoints, wanted):
    assert seen(*endpoints) == wanted


def test_a_node_without_a_zone_takes_all():
    both = (endpoint(1, zones=["here"]), endpoint(2, zones=["there"]))
    assert seen(*both, zone="") == {1, 2}


def test_what_is_on_the_node_is_local_whatever_is_meant():
    item = EndpointSlice(
        endpoints=(endpoint(1, zones=["there"], node="mine"), endpoint(2, zones=["here"])),
        ports=(EndpointPort(port=8080),),
    )
    [rule] = service_rules(SERVICE, [item], "mine", "here")
    assert [backend.address for backend in rule.local] == ["10.244.0.1"]
    assert [backend.address for backend in rule.endpoints] == ["10.244.0.2"]


@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from(["here", "there"]), max_size=2),
            st.lists(st.sampled_from(["mine", "other"]), max_size=2),
            st.booleans(),
        ),
        max_size=6,
    )
)
def test_no_hint_leaves_a_service_without_endpoints(drawn):
    endpoints = [
        endpoint(number, zones=zones, nodes=nodes, ready=ready)
        for number, (zones, nodes, ready) in enumerate(drawn, 1)
    ]
    ready = {number for number, (_, _, is_ready) in enumerate(drawn, 1) if is_ready}
    found = seen(*endpoints)
    assert found <= ready
    assert bool(found) == bool(ready)
