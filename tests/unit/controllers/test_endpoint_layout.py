"""Where endpoints are told: which slices are written, where Endpoints are cut, when it began."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pilothouse.services.controllers.network import endpoints as older
from pilothouse.services.controllers.network import endpointslice, hints, slices, subsets
from pilothouse.services.controllers.network.endpointslice import Around
from pilothouse.services.controllers.network.triggers import ANNOTATION, Triggers
from pilothouse.services.machinery.conditions import Condition
from pilothouse.services.machinery.kinds import endpoints
from pilothouse.services.machinery.kinds.pods import (
    Container,
    ContainerPort,
    Pod,
    PodIP,
    Spec,
    Status,
)
from pilothouse.services.machinery.kinds.services import (
    Endpoint,
    EndpointAddress,
    EndpointPort,
    Endpoints,
    EndpointSlice,
    EndpointSubset,
    Service,
    ServicePort,
    ServiceSpec,
)
from pilothouse.services.machinery.objects import Key, Metadata, OwnerReference

GONE = "2026-01-01T00:00:00Z"
HTTP = (EndpointPort(port=80),)


def service(*ports, uid="svc", going=False, **spec):
    spec = {"selector": {"app": "web"}, "cluster_ip": "10.96.0.7", "ip_families": ("IPv4",)} | spec
    gone = GONE if going else None
    return Service(
        metadata=Metadata(name="web", namespace="ns", uid=uid, deletion_timestamp=gone),
        spec=ServiceSpec(ports=ports or (ServicePort(port=80),), **spec),
    )


def pod(number, *, ready=True, node="node-1", ips=(), since=GONE, containers=(), init=()):
    ips = ips or (f"10.0.0.{number}",)
    told = Condition(type="Ready", status="True" if ready else "False", last_transition_time=since)
    return Pod(
        metadata=Metadata(
            name=f"p{number}", namespace="ns", uid=f"u{number}", labels={"app": "web"}
        ),
        spec=Spec(node_name=node, containers=containers, init_containers=init),
        status=Status(
            phase="Running",
            pod_ip=ips[0],
            pod_ips=tuple(PodIP(ip=ip) for ip in ips),
            conditions=(told,),
        ),
    )


def owned(name, *, uid="svc", labels=None, family="IPv4", found=(), ports=HTTP):
    owner = OwnerReference(api_version="v1", kind="Service", name="web", uid=uid)
    labels = labels or endpointslice.slice_labels(service())
    return EndpointSlice(
        metadata=Metadata(name=name, labels=labels, owner_references=(owner,)),
        address_type=family,
        endpoints=tuple(found),
        ports=ports,
    )


def planned(pods, present=(), of=None, zones=None, limit=100):
    around = Around({"node-1": ""} if zones is None else zones, limit=limit)
    return endpointslice.plan(of or service(), pods, present, around)


def told(number):
    return Endpoint(addresses=(f"10.0.{number // 250}.{number % 250}",))


LAID = {"a": "b"}


def layout(sizes, touched, new, limit=100):
    """``sizes``: of the slices there are; those at ``touched`` lose one; ``new`` come."""
    numbers = iter(range(5000))
    held = [[told(next(numbers)) for _ in range(size)] for size in sizes]
    present = [owned(f"s{at}", labels=LAID, found=found) for at, found in enumerate(held)]
    wanted = [
        endpoint for at, found in enumerate(held) for endpoint in found[1 if at in touched else 0 :]
    ]
    wanted += [told(5000 + number) for number in range(new)]
    return wanted, slices.lay_out("IPv4", {HTTP: wanted}, present, LAID, limit)


@pytest.mark.parametrize(
    ("sizes", "touched", "new", "wanted"),
    [
        # Nothing is moved to make slices fuller.
        ((30, 30, 30), (), 0, []),
        # One that has room for all of them is written alone, the fullest of those.
        ((30, 62, 61), (), 38, [("s1", 100)]),
        ((30, 62, 61), (), 39, [("s2", 100)]),
        # Where none has, a new one is made rather than several written.
        ((95, 95, 95), (), 10, [("new", 10)]),
        # What is written anyway is filled first, the fullest first.
        ((51, 71, 20), (0, 1), 40, [("s0", 60), ("s1", 100)]),
        ((51, 20), (0,), 60, [("s0", 100), ("s1", 30)]),
        # Whole slices are new; what is left over goes where there is room.
        ((10,), (), 250, [("new", 100), ("new", 100), ("s0", 60)]),
    ],
)
def test_new_endpoints_cost_as_few_writes_as_can_be(sizes, touched, new, wanted):
    _, made = layout(sizes, touched, new)
    assert not made.delete
    assert wanted == sorted(
        (item.present.metadata.name if item.present else "new", len(item.endpoints))
        for item in made.contents
        if slices.changed(item, LAID)
    )


@given(st.lists(st.integers(0, 5), max_size=5), st.sets(st.integers(0, 4)), st.integers(0, 12))
def test_no_slice_is_too_large_and_no_address_is_told_twice(sizes, touched, new):
    wanted, made = layout(sizes, touched, new, limit=5)
    assert all(len(item.endpoints) <= 5 for item in made.contents)
    shown = [item.addresses for content in made.contents for item in content.endpoints]
    assert sorted(shown) == sorted(item.addresses for item in wanted)


def test_without_endpoints_one_slice_stays_that_says_neither_ports_nor_addresses():
    present = [owned("a", found=[told(1)]), owned("b", found=[told(2)])]
    todo = planned([], present)
    [content] = todo.write
    assert (content.ports, content.endpoints) == ((), ())
    assert [content.present, *todo.delete] == present
    after = [owned("a", ports=())]
    assert not planned([], after).write


def test_slices_of_a_service_of_this_name_that_was_there_before_are_not_written_over():
    before = owned("old", uid="another")
    todo = planned([pod(1)], [before])
    assert [content.present for content in todo.write] == [None]
    assert todo.delete == (before,)


def test_a_service_on_its_way_out_gets_no_new_slices_but_those_it_has_are_kept():
    assert not planned([pod(1)], of=service(going=True)).write
    [content] = planned([pod(1)], [owned("a")], of=service(going=True)).write
    assert content.present is not None


def test_pods_of_nodes_that_are_not_there_are_left_out_until_they_are():
    both = [pod(1), pod(2, node="node-2")]
    todo = planned(both)
    assert [item.target_ref.name for item in todo.write[0].endpoints] == ["p1"]
    assert todo.astray
    there = planned(both, zones={"node-1": "", "node-2": "z"})
    assert [item.zone for item in there.write[0].endpoints] == [None, "z"]
    assert not there.astray
    published = planned(both, of=service(publish_not_ready_addresses=True))
    assert len(published.write[0].endpoints) == 2


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        (("IPv4",), {"IPv4"}),
        (("IPv6",), {"IPv6"}),
        (("IPv6", "IPv4"), {"IPv4", "IPv6"}),
    ],
)
def test_each_family_of_a_service_has_its_own_slices(asked, wanted):
    found = [pod(1, ips=("10.0.0.1", "fd00::1"))]
    headless = service(ip_families=asked, cluster_ip="None", cluster_ips=("None",))
    todo = planned(found, of=headless)
    assert {content.family for content in todo.write} == wanted
    [subset] = older.plan(headless, found, None).subsets
    assert endpoints.family_of(subset.addresses[0].ip) == asked[0]


def test_a_named_port_is_found_in_sidecars_but_not_in_what_ends_before():
    listed = (ContainerPort(container_port=8080, name="web"),)
    named = service(ServicePort(port=80, target_port="web"))
    sidecar = Container(name="s", ports=listed, restart_policy="Always")
    once = Container(name="s", ports=listed)
    found = pod(1, init=(sidecar,))
    assert [port.port for port in endpoints.ports(named, found)] == [8080]
    assert endpoints.ports(named, pod(1, init=(once,))) == ()


def test_a_pod_that_has_none_of_the_ports_is_in_slices_but_not_in_endpoints():
    named = service(ServicePort(port=80, target_port="web"))
    assert [item.ports for item in planned([pod(1)], of=named).write] == [()]
    assert older.plan(named, [pod(1)], None).subsets == ()
    headless = Service(
        metadata=Metadata(name="web"),
        spec=ServiceSpec(selector={"app": "web"}, cluster_ip="None"),
    )
    assert len(older.plan(headless, [pod(1)], None).subsets) == 1
    portless = Service(
        metadata=Metadata(name="web"),
        spec=ServiceSpec(selector={"app": "web"}, cluster_ip="10.96.0.7"),
    )
    assert older.plan(portless, [pod(1)], None).subsets == ()


def test_endpoints_take_over_labels_and_lose_those_that_went():
    labelled = service()
    labelled = replace(labelled, metadata=replace(labelled.metadata, labels={"team": "a"}))
    todo = older.plan(labelled, [pod(1)], None)
    assert todo.labels == {"team": "a", older.MANAGED_BY: "endpoint-controller"}
    present = Endpoints(metadata=Metadata(labels=dict(todo.labels)), subsets=todo.subsets)
    assert not older.plan(labelled, [pod(1)], present).write
    assert older.plan(service(), [pod(1)], present).write


def test_addresses_are_in_order_whatever_their_pods_are_called():
    found = [pod(3, ips=("10.0.0.1",)), pod(1, ips=("10.0.0.9",)), pod(2, ips=("10.0.0.5",))]
    [subset] = older.plan(service(), found, None).subsets
    assert [item.ip for item in subset.addresses] == ["10.0.0.1", "10.0.0.5", "10.0.0.9"]


def subset(ready, unready, port):
    return EndpointSubset(
        addresses=tuple(EndpointAddress(ip=f"a{number}") for number in range(ready)),
        not_ready_addresses=tuple(EndpointAddress(ip=f"b{number}") for number in range(unready)),
        ports=(EndpointPort(port=port),),
    )


@pytest.mark.parametrize(
    ("whole", "wanted"),
    [
        ([(500, 500)], [(500, 500)]),
        ([(1001, 0)], [(1000, 0)]),
        ([(900, 300)], [(900, 100)]),
        ([(1200, 300)], [(1000, 0)]),
        ([(500, 500), (100, 100)], [(500, 334), (100, 66)]),
        ([(1000, 0), (1000, 0), (10, 5)], [(498, 0), (498, 0), (4, 0)]),
        ([(1000, 0), (0, 5)], [(1000, 0)]),
    ],
)
def test_too_many_addresses_are_cut_ready_ones_last_and_each_subset_by_its_part(whole, wanted):
    given_ = tuple(subset(*sizes, port) for port, sizes in enumerate(whole, 1))
    cut = subsets.cut(given_, 1000)
    assert [(len(item.addresses), len(item.not_ready_addresses)) for item in cut] == wanted


def test_endpoints_that_were_cut_say_so_until_they_are_whole_again():
    many = [pod(number, ips=(f"10.1.{number // 250}.{number % 250}",)) for number in range(1001)]
    todo = older.plan(service(), many, None)
    assert todo.annotations[older.OVER_CAPACITY] == "truncated"
    kept = {older.OVER_CAPACITY: "truncated"}
    labels = dict(todo.labels)
    present = Endpoints(metadata=Metadata(labels=labels, annotations=kept), subsets=todo.subsets)
    assert not older.plan(service(), many, present).write
    fewer = older.plan(service(), many[:1000], present)
    assert fewer.write
    assert fewer.annotations[older.OVER_CAPACITY] is None


def test_people_are_told_when_endpoints_begin_to_be_shared_out_and_why_they_are_not():
    automatic = service()
    notes = {hints.MODE: "Auto"}
    automatic = replace(automatic, metadata=replace(automatic.metadata, annotations=notes))
    found = [pod(1), pod(2, node="node-2")]
    zones = {"node-1": "a", "node-2": "b"}

    def told(present, capacity):
        around = Around(zones, capacity)
        todo = endpointslice.plan(automatic, found, present, around)
        return [note[1] for note in todo.notes], todo

    told_of, todo = told([], {"a": 0.5, "b": 0.5})
    assert told_of == ["TopologyAwareHintsEnabled"]
    present = [owned("a", found=todo.write[0].endpoints)]
    assert told(present, {"a": 0.5, "b": 0.5})[0] == []
    told_of, todo = told(present, None)
    assert told_of == ["TopologyAwareHintsDisabled"]
    assert todo.notes[0][2].endswith("nodes, addressType: IPv4")
    assert planned(found, zones=zones).notes == ()


BORN, FIRST, SECOND = (f"2026-01-01T00:00:0{second}Z" for second in (1, 2, 3))


def test_what_is_written_says_when_that_happened_which_it_tells():
    triggers = Triggers()
    of = service()
    of = replace(of, metadata=replace(of.metadata, creation_timestamp=BORN))
    one, two = pod(1, since=FIRST), pod(2, since=SECOND)
    assert triggers.look(of, [one]) == BORN
    assert triggers.look(of, [one]) is None
    assert triggers.look(of, [one, two]) == SECOND
    assert triggers.look(of, [two]) is None
    both = [pod(1, since="2026-01-01T00:00:05Z"), pod(2, since="2026-01-01T00:00:04Z")]
    assert triggers.look(of, both) == "2026-01-01T00:00:04Z"
    triggers.forget(Key("ns", "web"))
    assert triggers.look(of, both) == BORN
    assert older.plan(of, both, None, FIRST).annotations[ANNOTATION] == FIRST


def test_ports_that_the_same_addresses_have_are_in_one_subset():
    named = service(
        ServicePort(port=80, name="plain"), ServicePort(port=443, name="named", target_port="tls")
    )
    one = Container(name="c", ports=(ContainerPort(container_port=8443, name="tls"),))
    other = Container(name="c", ports=(ContainerPort(container_port=9443, name="tls"),))
    found = [pod(1, containers=(one,)), pod(2, containers=(other,)), pod(3, ready=False)]
    told = older.plan(named, found, None).subsets
    assert [
        (
            [port.port for port in item.ports],
            [address.ip for address in item.addresses],
            [address.ip for address in item.not_ready_addresses],
        )
        for item in told
    ] == [
        ([80], ["10.0.0.1", "10.0.0.2"], ["10.0.0.3"]),
        ([8443], ["10.0.0.1"], []),
        ([9443], ["10.0.0.2"], []),
    ]


@given(st.lists(st.tuples(st.integers(1, 3), st.sampled_from("abcd"), st.booleans()), max_size=12))
def test_subsets_repacked_are_repacked_and_tell_all(told):
    given_ = [(port, (who, ""), ready) for port, who, ready in told]
    packed = endpoints.repacked(given_)
    expanded = [
        (port, who, ready)
        for ready_ones, others, ports in packed
        for ready, found in ((True, ready_ones), (False, others))
        for who in found
        for port in ports
    ]
    assert sorted(endpoints.repacked(expanded)) == sorted(packed)
    wanted = {}
    for port, who, ready in given_:
        wanted[port, who] = ready and wanted.get((port, who), True)
    assert {(port, who): ready for port, who, ready in expanded} == wanted
    sets = [(tuple(ready), tuple(others)) for ready, others, _ in packed]
    assert len(set(sets)) == len(sets)
