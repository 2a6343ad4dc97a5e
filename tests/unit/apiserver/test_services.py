"""Services: addresses and node ports are given out once."""

import asyncio
import ipaddress

import pytest

from pilothouse.services.apiserver.allocation.pool import Exhausted, Pool, Taken
from pilothouse.services.machinery.errors import Invalid


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
    with pytest.raises(Invalid, match="not in the valid range"):
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
