"""Who is behind a Service: endpoints of pods, their layout over slices, the older Endpoints."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from pilothouse.services.controllers.network import endpoints as older
from pilothouse.services.controllers.network import endpointslice
from pilothouse.services.controllers.network.endpointslice import Around
from pilothouse.services.machinery.conditions import Condition
from pilothouse.services.machinery.kinds import endpoints, services
from pilothouse.services.machinery.kinds.pods import Container, ContainerPort, Pod, Spec, Status
from pilothouse.services.machinery.kinds.services import (
    Endpoints,
    EndpointSlice,
    Service,
    ServicePort,
    ServiceSpec,
)
from pilothouse.services.machinery.objects import Metadata, OwnerReference

OWNED = (OwnerReference(api_version="v1", kind="Service", name="web", uid="svc", controller=True),)
LABELS = {"app": "web"}
replace = msgspec.structs.replace


def service(*ports, metadata=None, **spec):
    spec = {"selector": LABELS, "cluster_ips": ("10.96.0.7",), "cluster_ip": "10.96.0.7"} | spec
    listed = ports or (ServicePort(port=80),)
    return Service(
        metadata=Metadata(name="web", namespace="ns", uid="svc", **(metadata or {})),
        spec=ServiceSpec(ports=listed, **spec),
    )


def pod(number, *, ready=True, going=False, ports=(), phase="Running", **spec):
    return Pod(
        metadata=Metadata(
            name=f"p{number}",
            namespace="ns",
            uid=f"u{number}",
            labels=LABELS,
            deletion_timestamp="2026-01-01T00:00:00Z" if going else None,
        ),
        spec=Spec(node_name="node-1", containers=(Container(name="c", ports=ports),), **spec),
        status=Status(
            phase=phase,
            pod_ip=f"10.244.0.{number}",
            conditions=(Condition(type="Ready", status="True" if ready else "False"),),
        ),
    )


def written(todo, present=()):
    """The slices that are there once the plan is carried out."""
    after = {item.metadata.name: item for item in present}
    for item in todo.delete:
        del after[item.metadata.name]
    for number, content in enumerate(todo.write):
        name = f"new{len(after)}-{number}"
        if content.present is not None:
            name = content.present.metadata.name
        after[name] = EndpointSlice(
            metadata=Metadata(name=name, labels=dict(todo.labels), owner_references=OWNED),
            address_type=content.family,
            endpoints=content.endpoints,
            ports=content.ports,
        )
    return list(after.values())


def planned(pods, present=(), of=None, zones=None, limit=100):
    around = Around({"node-1": ""} if zones is None else zones, limit=limit)
    return endpointslice.plan(of or service(), pods, present, around)


def said(todo):
    return [item for content in todo.write for item in content.endpoints]


def test_an_endpoint_says_who_it_is_and_whether_it_serves():
    [found] = said(planned([pod(1)], zones={"node-1": "z"}))
    assert found.addresses == ("10.244.0.1",)
    assert (found.node_name, found.zone) == ("node-1", "z")
    assert found.target_ref.uid == "u1"
    assert found.conditions == services.EndpointConditions(
        ready=True, serving=True, terminating=False
    )


def test_a_pod_on_its_way_out_serves_but_is_not_ready():
    [found] = said(planned([pod(1, going=True)]))
    assert found.conditions == services.EndpointConditions(
        ready=False, serving=True, terminating=True
    )


def test_not_ready_addresses_are_published_on_request():
    [hidden] = said(planned([pod(1, ready=False)]))
    assert hidden.conditions.ready is False
    [shown] = said(planned([pod(1, ready=False)], of=service(publish_not_ready_addresses=True)))
    assert (shown.conditions.ready, shown.conditions.serving) == (True, False)


def test_strangers_ended_ones_and_those_without_address_are_left_out():
    stranger = pod(1)
    stranger = replace(stranger, metadata=replace(stranger.metadata, labels={"app": "other"}))
    unaddressed = replace(pod(2), status=Status())
    assert said(planned([stranger, unaddressed, pod(3, phase="Succeeded")])) == []


def test_a_named_port_is_each_pods_own_number():
    named = service(ServicePort(port=80, name="http", target_port="web"))
    one = pod(1, ports=(ContainerPort(container_port=8080, name="web"),))
    two = pod(2, ports=(ContainerPort(container_port=9090, name="web"),))
    todo = planned([one, two, pod(3)], of=named)
    numbers = {tuple(port.port for port in content.ports) for content in todo.write}
    assert numbers == {(8080,), (9090,), ()}


def test_an_empty_service_keeps_one_empty_slice_and_fills_it_later():
    todo = planned([])
    assert [content.endpoints for content in todo.write] == [()]
    present = written(todo)
    assert not planned([], present).write
    filled = planned([pod(1)], present)
    assert [content.present for content in filled.write] == present
    emptied = planned([], written(filled, present))
    assert not emptied.delete
    assert said(emptied) == []


def test_one_change_writes_one_slice():
    everybody = [pod(number) for number in range(1, 251)]
    present = written(planned(everybody))
    assert sorted(len(item.endpoints) for item in present) == [50, 100, 100]
    everybody[120] = pod(121, ready=False)
    todo = planned(everybody, present)
    assert len(todo.write) == 1
    assert not todo.delete


def test_slices_are_marked_as_ours_and_headless():
    labels = planned([], of=service(cluster_ip="None", cluster_ips=("None",))).labels
    assert labels[services.SERVICE_NAME] == "web"
    assert labels[services.MANAGED_BY] == endpoints.SLICE_CONTROLLER
    assert labels[endpoints.HEADLESS] == ""
    assert endpoints.HEADLESS not in planned([]).labels


def test_a_hostname_counts_under_its_own_subdomain_only():
    [inside] = said(planned([pod(1, hostname="a", subdomain="web")]))
    [outside] = said(planned([pod(1, hostname="a", subdomain="other")]))
    assert (inside.hostname, outside.hostname) == ("a", None)


PODS = st.lists(
    st.builds(pod, st.integers(1, 250), ready=st.booleans(), going=st.booleans()),
    unique_by=lambda item: item.metadata.uid,
    max_size=30,
)


@settings(deadline=None)
@given(PODS, PODS, st.integers(1, 7))
def test_carried_out_a_plan_leaves_nothing_to_do(before, after, limit):
    present = written(planned(before, limit=limit))
    present = written(planned(after, present, limit=limit), present)
    todo = planned(after, present, limit=limit)
    assert (todo.write, todo.delete) == ((), ())
    shown = [item.target_ref.uid for each in present for item in each.endpoints]
    assert sorted(shown) == sorted(item.metadata.uid for item in after)
    assert all(len(item.endpoints) <= limit for item in present)


def test_endpoints_part_the_ready_from_the_others():
    todo = older.plan(service(), [pod(1), pod(2, ready=False), pod(3, going=True)], None)
    [subset] = todo.subsets
    assert [item.ip for item in subset.addresses] == ["10.244.0.1"]
    assert [item.ip for item in subset.not_ready_addresses] == ["10.244.0.2"]
    assert todo.write
    present = shown(todo)
    assert not older.plan(service(), [pod(1), pod(2, ready=False)], present).write


def shown(todo):
    """The Endpoints once the plan is carried out."""
    kept = {name: value for name, value in todo.annotations.items() if value is not None}
    return Endpoints(
        metadata=Metadata(labels=dict(todo.labels), annotations=kept), subsets=todo.subsets
    )


def test_who_writes_endpoints_by_hand_is_left_alone():
    assert not endpoints.is_selecting(service(selector={}))
    assert not endpoints.is_selecting(service(type="ExternalName"))
