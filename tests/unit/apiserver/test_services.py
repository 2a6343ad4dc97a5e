"""Services: addresses and node ports are given out once."""

import asyncio
import ipaddress

import pytest

from pilothouse.services.apiserver.allocation.pool import Exhausted, Pool, Taken, band
from pilothouse.services.apiserver.repairs import Repairs
from pilothouse.services.machinery.errors import InternalError, Invalid
from pilothouse.services.machinery.objects import Key


def service(name="s", **spec):
    return {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}], **spec}}


async def test_a_service_gets_its_defaults_and_an_address(client):
    made = await client.create("services", service(selector={"app": "web"}))
    spec = made["spec"]
    assert ipaddress.ip_address(spec["clusterIP"]) in ipaddress.ip_network("10.96.0.0/12")
    assert spec["clusterIPs"] == [spec["clusterIP"]]
    assert (spec["type"], spec["sessionAffinity"]) == ("ClusterIP", "None")
    assert (spec["ipFamilies"], spec["ipFamilyPolicy"]) == (["IPv4"], "SingleStack")
    assert spec["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]


async def test_addresses_are_unique_among_many_at_once(client):
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(client.create("services", service(f"s{number}", type="NodePort")))
            for number in range(50)
        ]
    specs = [task.result()["spec"] for task in tasks]
    assert len({spec["clusterIP"] for spec in specs}) == 50
    assert len({spec["ports"][0]["nodePort"] for spec in specs}) == 50


async def test_an_address_is_asked_for_once_and_free_after_the_delete(client):
    await client.create("services", service(clusterIP="10.96.0.77"))
    with pytest.raises(Invalid, match="provided IP is already allocated"):
        await client.create("services", service("t", clusterIP="10.96.0.77"))
    await client.delete("services", "s")
    made = await client.create("services", service("t", clusterIP="10.96.0.77"))
    assert made["spec"]["clusterIP"] == "10.96.0.77"
    with pytest.raises(Invalid, match="does not match the current range"):
        await client.create("services", service("u", clusterIP="192.168.0.1"))


async def test_the_apis_own_address_is_taken(client):
    own = await client.get("services", "kubernetes")
    assert own["spec"]["clusterIP"] == "10.96.0.1"
    with pytest.raises(Invalid, match="already allocated"):
        await client.create("services", service(clusterIP="10.96.0.1"))


async def test_node_ports(client):
    ports = [{"port": 80, "nodePort": 30080}]
    made = await client.create("services", service(type="NodePort", ports=ports))
    assert made["spec"]["ports"][0]["nodePort"] == 30080
    assert made["spec"]["externalTrafficPolicy"] == "Cluster"
    with pytest.raises(Invalid, match="provided port is already allocated"):
        await client.create("services", service("t", type="NodePort", ports=ports))
    far = [{"port": 80, "nodePort": 80}]
    with pytest.raises(Invalid, match="30000-32767"):
        await client.create("services", service("t", type="NodePort", ports=far))
    assert await client.names("services") == ["kubernetes", "s"]


async def test_updates_keep_addresses_and_change_of_type_drops_ports(client):
    made = await client.create("services", service(type="NodePort"))
    port = made["spec"]["ports"][0]["nodePort"]
    kept = await client.update("services", "s", service(type="NodePort"))
    assert kept["spec"]["clusterIP"] == made["spec"]["clusterIP"]
    assert kept["spec"]["ports"][0]["nodePort"] == port
    plain = await client.patch("services", "s", {"spec": {"type": "ClusterIP"}})
    assert "nodePort" not in plain["spec"]["ports"][0]
    again = [{"port": 80, "nodePort": port}]
    other = await client.create("services", service("t", type="NodePort", ports=again))
    assert other["spec"]["ports"][0]["nodePort"] == port
    with pytest.raises(Invalid, match="may not change once set"):
        await client.patch(
            "services", "s", {"spec": {"clusterIP": "10.96.0.78", "clusterIPs": ["10.96.0.78"]}}
        )


async def test_headless_and_external_services_have_no_address(client):
    headless = await client.create("services", service(clusterIP="None"))
    assert headless["spec"]["clusterIPs"] == ["None"]
    external = {"metadata": {"name": "x"}, "spec": {"type": "ExternalName",
                "externalName": "example.com"}}  # fmt: skip
    assert "clusterIP" not in (await client.create("services", external))["spec"]


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"ports": []}, "spec.ports"),
        ({"ports": [{"port": 0}]}, "spec.ports[0].port"),
        ({"ports": [{"port": 80}, {"port": 81}]}, "spec.ports[0].name"),
        ({"ports": [{"port": 80, "protocol": "ICMP"}]}, "spec.ports[0].protocol"),
        ({"type": "Magic"}, "spec.type"),
        ({"sessionAffinity": "Sometimes"}, "spec.sessionAffinity"),
        ({"type": "ExternalName"}, "spec.externalName"),
    ],
)
async def test_rules(client, spec, field):
    with pytest.raises(Invalid) as refused:
        await client.create("services", service(**spec))
    assert field in [cause.field for cause in refused.value.causes]


def test_a_pool_gives_each_number_to_one_holder():
    pool = Pool(1, 3)
    given = {pool.choose(holder) for holder in "abc"}
    assert given == {1, 2, 3}
    with pytest.raises(Exhausted):
        pool.choose("d")
    with pytest.raises(Taken):
        pool.take(1, "d")
    pool.release(1, "nobody")
    with pytest.raises(Exhausted):
        pool.choose("d")


def test_who_has_it_in_the_store_gets_it_when_a_claim_is_given_up():
    pool = Pool(1, 1)
    pool.choose("claim")
    pool.observe(1, "stored")
    pool.release(1, "claim")
    assert pool.holder(1) == "stored"
    pool.release(1, "stored")
    assert pool.choose("next") == 1


async def test_a_lost_create_gives_back_nothing_of_the_winner(client):
    """Two servers create one Service with one address: the loser leaves the winner's alone."""
    claims = client.registry.parts.claims
    made = await client.create("services", service(clusterIP="10.96.0.44"))
    document = {
        "metadata": {"namespace": "default", "name": "s", "uid": "loser"},
        "spec": {"type": "ClusterIP", "clusterIP": "10.96.0.44", "ports": [{"port": 80}]},
    }
    # As on a server that has not yet heard of the other.
    client.registry.parts.allocator.observe(
        client.registry.parts.cache.find("", "services", Key("default", "s")), None
    )
    held = await claims.hold(document, "x", dry_run=False)
    assert not held.claim.causes
    await claims.undo(held, "loser")
    shown = await client.get("networking.k8s.io/ipaddresses", made["spec"]["clusterIP"])
    assert shown["spec"]["parentRef"]["name"] == "s"


async def test_a_local_balancer_gets_a_port_for_health_checks(client):
    wanted = service(type="LoadBalancer", externalTrafficPolicy="Local")
    made = await client.create("services", wanted)
    number = made["spec"]["healthCheckNodePort"]
    assert 30000 <= number <= 32767
    taken = [{"port": 80, "nodePort": number}]
    with pytest.raises(Invalid, match="already allocated"):
        await client.create("services", service("t", type="NodePort", ports=taken))
    made = await client.patch("services", "s", {"spec": {"externalTrafficPolicy": "Cluster"}})
    assert "healthCheckNodePort" not in made["spec"]


async def test_a_service_becomes_a_name_and_a_service_again(client):
    await client.create("services", service(selector={"a": "b"}))
    change = {"spec": {"type": "ExternalName", "externalName": "example.com"}}
    made = await client.patch("services", "s", change)
    assert not {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"} & made["spec"].keys()
    back = {"spec": {"type": "ClusterIP", "externalName": None}}
    made = await client.patch("services", "s", back)
    assert made["spec"]["clusterIP"]


def service_range(name, *cidrs):
    return {"metadata": {"name": name}, "spec": {"cidrs": [*cidrs]}}


async def test_a_second_range_is_given_from_until_it_is_to_go(client):
    with pytest.raises(Invalid, match="does not match the current range"):
        await client.create("services", service(clusterIP="172.30.7.9"))
    ranges = "networking.k8s.io/servicecidrs"
    made = service_range("more", "172.30.7.0/28")
    made["metadata"]["finalizers"] = ["example.com/kept"]
    await client.create(ranges, made)
    one = await client.create("services", service("one", clusterIP="172.30.7.9"))
    assert one["spec"]["clusterIP"] == "172.30.7.9"
    with pytest.raises(Invalid, match="already allocated"):
        await client.create("services", service("two", clusterIP="172.30.7.9"))
    for edge in ("172.30.7.0", "172.30.7.15"):
        with pytest.raises(Invalid, match=r"not in the valid range\. .* is 172\.30\.7\.0/28"):
            await client.create("services", service("two", clusterIP=edge))
    await client.delete(ranges, "more")
    with pytest.raises(Invalid, match="does not match the current range"):
        await client.create("services", service("two", clusterIP="172.30.7.10"))
    # What is held is held all the same, and its Service goes on.
    await client.patch("services", "one", {"metadata": {"labels": {"a": "b"}}})
    assert "172.30.7.9" in await client.names("networking.k8s.io/ipaddresses")
    await client.delete("services", "one")
    assert "172.30.7.9" not in await client.names("networking.k8s.io/ipaddresses")


async def test_a_full_range_says_so_and_another_helps(client):
    ranges = "networking.k8s.io/servicecidrs"
    condition = {
        "type": "Ready", "status": "False", "reason": "", "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    status = {"status": {"conditions": [condition]}}
    await client.patch(ranges, "kubernetes", status, sub="status")
    await client.create(ranges, service_range("few", "172.30.8.0/30"))
    made = [await client.create("services", service(f"s{number}")) for number in range(2)]
    assert {each["spec"]["clusterIP"] for each in made} == {"172.30.8.1", "172.30.8.2"}
    with pytest.raises(InternalError, match="failed to allocate a serviceIP: range is full"):
        await client.create("services", service("full"))
    await client.create(ranges, service_range("next", "172.30.9.0/28"))
    more = await client.create("services", service("full"))
    assert more["spec"]["clusterIP"].startswith("172.30.9.")


async def test_one_port_of_two_protocols_is_one_port_of_the_node(client):
    ports = [
        {"name": "tcp", "port": 53, "protocol": "TCP"},
        {"name": "udp", "port": 53, "protocol": "UDP"},
        {"name": "other", "port": 54},
    ]
    made = await client.create("services", service(type="NodePort", ports=ports))
    given = [port["nodePort"] for port in made["spec"]["ports"]]
    assert given[0] == given[1] != given[2]


async def test_a_port_asked_for_is_held_also_where_none_are_given(client):
    ports = [{"port": 80, "nodePort": 30081}, {"name": "b", "port": 81}]
    ports[0]["name"] = "a"
    wanted = service(type="LoadBalancer", allocateLoadBalancerNodePorts=False, ports=ports)
    made = await client.create("services", wanted)
    assert "nodePort" not in made["spec"]["ports"][1]
    taken = service("t", type="NodePort", ports=[{"port": 80, "nodePort": 30081}])
    with pytest.raises(Invalid, match="already allocated"):
        await client.create("services", taken)


def test_the_start_of_a_range_is_for_those_who_ask():
    assert [band(size, 16, 256) for size in (14, 16, 254, 4094, 65534)] == [0, 16, 16, 255, 256]
    pool = Pool(1, 20, 1 + 16)
    assert {pool.choose(holder) for holder in range(4)} == {17, 18, 19, 20}
    assert pool.choose("late") == 1


async def test_an_address_that_somebody_deletes_comes_back(client):
    made = await client.create("services", service())
    address = made["spec"]["clusterIP"]
    repairs = Repairs(client.registry)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(repairs.run())
        await asyncio.sleep(0)
        await client.delete("networking.k8s.io/ipaddresses", address)
        async with asyncio.timeout(5):
            while address not in await client.names("networking.k8s.io/ipaddresses"):
                await asyncio.sleep(0.01)
        running.cancel()
