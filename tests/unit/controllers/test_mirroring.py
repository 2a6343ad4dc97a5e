"""Endpoints that people wrote, and the slices that mirror them."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.controllers.network import endpointslicemirroring as mirroring
from pilothouse.services.machinery.kinds import endpoints, services
from pilothouse.services.machinery.kinds.services import (
    EndpointAddress,
    EndpointPort,
    Endpoints,
    EndpointSlice,
    EndpointSubset,
    Service,
    ServiceSpec,
)
from pilothouse.services.machinery.objects import Metadata

HTTP = (EndpointPort(name="http", port=80),)
SERVICE = Service(metadata=Metadata(name="db"))
replace = msgspec.structs.replace


def subset(*ips, idle=(), ports=HTTP):
    return EndpointSubset(
        addresses=tuple(EndpointAddress(ip=ip) for ip in ips),
        not_ready_addresses=tuple(EndpointAddress(ip=ip) for ip in idle),
        ports=ports,
    )


def written(*subsets, **metadata):
    return Endpoints(metadata=Metadata(name="db", uid="e", **metadata), subsets=subsets)


def carried_out(todo, present=()):
    """The slices that are there once the plan is carried out."""
    after = {item.metadata.name: item for item in present}
    for item in todo.delete:
        del after[item.metadata.name]
    for number, content in enumerate(todo.write):
        name = f"new{len(after)}-{number}" if content.present is None else (
            content.present.metadata.name
        )  # fmt: skip
        metadata = Metadata(name=name, labels=dict(todo.labels), annotations=dict(todo.annotations))
        after[name] = EndpointSlice(
            metadata=metadata,
            address_type=content.family,
            endpoints=content.endpoints,
            ports=content.ports,
        )
    return list(after.values())


def told(slices):
    return sorted(
        (item.address_type, endpoint.addresses[0], endpoint.conditions.ready)
        for item in slices
        for endpoint in item.endpoints
    )


def test_addresses_of_each_family_have_their_slices():
    todo = mirroring.plan(written(subset("10.0.0.1", "fd00::1", idle=("10.0.0.2",))), SERVICE, [])
    assert told(carried_out(todo)) == [
        ("IPv4", "10.0.0.1", True),
        ("IPv4", "10.0.0.2", False),
        ("IPv6", "fd00::1", True),
    ]
    assert todo.labels[services.SERVICE_NAME] == "db"
    assert todo.labels[services.MANAGED_BY] == mirroring.CONTROLLER


def test_labels_and_annotations_are_copied_but_for_those_of_tools():
    metadata = {
        "labels": {"team": "a"},
        "annotations": {"why": "x", "kubectl.kubernetes.io/last-applied-configuration": "{}"},
    }
    todo = mirroring.plan(written(subset("10.0.0.1"), **metadata), SERVICE, [])
    assert todo.labels["team"] == "a"
    assert todo.annotations == {"why": "x"}
    present = carried_out(todo)
    changed = mirroring.plan(written(subset("10.0.0.1")), SERVICE, present)
    assert [item.present for item in changed.write] == present


@pytest.mark.parametrize(
    ("found", "service"),
    [
        (None, SERVICE),
        (written(subset("10.0.0.1")), None),
        (
            written(subset("10.0.0.1")),
            Service(metadata=Metadata(name="db"), spec=ServiceSpec(selector={"a": "b"})),
        ),
        (written(subset("10.0.0.1"), labels={mirroring.SKIP: "true"}), SERVICE),
        (written(subset("10.0.0.1"), annotations={mirroring.LEADER: "{}"}), SERVICE),
        (written(), SERVICE),
    ],
)
def test_what_is_not_mirrored_has_no_slices(found, service):
    present = carried_out(mirroring.plan(written(subset("10.0.0.1")), SERVICE, []))
    todo = mirroring.plan(found, service, present)
    assert (todo.write, todo.delete) == ((), tuple(present))


def test_no_more_of_a_subset_than_others_would_read():
    many = subset(*(f"10.0.{number // 250}.{number % 250}" for number in range(1200)))
    todo = mirroring.plan(written(many), SERVICE, [])
    [item] = carried_out(todo)
    assert len(item.endpoints) == mirroring.ADDRESSES_MAX
    assert todo.skipped == 200


def test_those_ready_are_mirrored_before_the_others_and_count_together():
    parted = subset("10.0.0.1", "10.0.0.2", idle=("10.0.0.3", "10.0.0.4"))
    todo = mirroring.plan(written(parted), SERVICE, [], 3)
    assert told(carried_out(todo)) == [
        ("IPv4", "10.0.0.1", True),
        ("IPv4", "10.0.0.2", True),
        ("IPv4", "10.0.0.3", False),
    ]
    assert todo.skipped == 1


def test_a_subset_has_one_slice_and_slices_not_needed_are_written_over():
    https = (EndpointPort(name="https", port=443),)
    parts = subset("10.0.0.1"), subset("10.0.0.2", ports=https)
    present = carried_out(mirroring.plan(written(*parts), SERVICE, []))
    assert len(present) == 2
    other = subset("10.0.0.2", ports=(EndpointPort(name="other", port=1),))
    todo = mirroring.plan(written(parts[0], other), SERVICE, present)
    [content] = todo.write
    assert content.present.ports == https
    assert not todo.delete
    fewer = mirroring.plan(written(parts[0]), SERVICE, present)
    assert [item.ports for item in fewer.delete] == [https]
    assert not fewer.write


def test_a_service_on_its_way_out_keeps_its_mirrors():
    going = Service(metadata=Metadata(name="db", deletion_timestamp="2026-01-01T00:00:00Z"))
    assert mirroring.plan(written(subset("10.0.0.1")), going, []).write


ADDRESS = st.sampled_from([f"10.0.0.{number}" for number in range(1, 8)] + ["fd00::1", "fd00::2"])
SUBSET = st.builds(
    lambda ready, idle, port: subset(*ready, idle=idle, ports=(EndpointPort(port=port),)),
    st.lists(ADDRESS, unique=True),
    st.lists(ADDRESS, unique=True),
    st.sampled_from([80, 443]),
)


@given(st.lists(SUBSET, max_size=4), st.lists(SUBSET, max_size=4))
def test_carried_out_a_plan_leaves_nothing_to_do(first, then):
    slices = carried_out(mirroring.plan(written(*first), SERVICE, []))
    todo = mirroring.plan(written(*then), SERVICE, slices)
    slices = carried_out(todo, slices)
    again = mirroring.plan(written(*then), SERVICE, slices)
    assert (again.write, again.delete) == ((), ())
    addresses = {
        (endpoints.family_of(item.ip), item.ip, part.ports)
        for part in then
        for item in (*part.addresses, *part.not_ready_addresses)
    }
    assert addresses == {
        (item.address_type, endpoint.addresses[0], item.ports)
        for item in slices
        for endpoint in item.endpoints
    }
