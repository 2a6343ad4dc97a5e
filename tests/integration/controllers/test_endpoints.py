"""Endpoints and slices of Services that change, as whoever reads them sees them."""

import json

import pytest

from pilothouse.services.machinery.errors import NotFound
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import (
    ENDPOINT_SLICES,
    ENDPOINTS,
    NODES,
    PODS,
    SERVICES,
)

LABELS = {"app": "web"}
TRIGGER = "endpoints.kubernetes.io/last-change-trigger-time"
SELECTING = "endpointslice-controller.k8s.io"
MIRRORING = "endpointslicemirroring-controller.k8s.io"
BY_HAND = {"addresses": [{"ip": "10.9.0.1"}], "ports": [{"port": 80, "name": "a"}]}


async def create_service(cluster, name="web", *, selector=LABELS, **metadata):
    ports = [{"port": 80, "name": "a"}, {"port": 81, "name": "b", "targetPort": 8081}]
    spec = {"ports": ports} | ({"selector": selector} if selector else {})
    await cluster.create(SERVICES, {"metadata": {"name": name, **metadata}, "spec": spec})


async def create_pod(cluster, name="web-0", node="node-1"):
    spec = {"containers": [{"name": "web", "image": "web:1"}], "nodeName": node}
    await cluster.create(PODS, {"metadata": {"name": name, "labels": LABELS}, "spec": spec})


async def slices(cluster, by, name="web"):
    found = await cluster.list(ENDPOINT_SLICES, labels=f"kubernetes.io/service-name={name}")
    label = "endpointslice.kubernetes.io/managed-by"
    return [item for item in found if item["metadata"]["labels"][label] == by]


async def try_get(cluster, name="web"):
    try:
        return json.loads(await cluster.objects.get(ENDPOINTS, Key("default", name)))
    except NotFound:
        return None


def ips(endpoints, member="addresses"):
    subsets = (endpoints or {}).get("subsets") or ()
    return [address["ip"] for subset in subsets for address in subset.get(member) or ()]


async def test_endpoints_follow_a_service_to_its_end(cluster):
    await create_pod(cluster)
    await create_service(cluster, labels={"team": "a"})

    async def told(holds):
        found = await try_get(cluster)
        return found if found and holds(found) else None

    found = await cluster.wait(lambda: told(ips))
    assert found["metadata"]["labels"] == {
        "team": "a",
        "endpoints.kubernetes.io/managed-by": "endpoint-controller",
    }
    assert TRIGGER in found["metadata"]["annotations"]
    [subset] = found["subsets"]
    assert [(port["name"], port["port"]) for port in subset["ports"]] == [("a", 80), ("b", 8081)]
    assert subset["addresses"][0]["nodeName"] == "node-1"
    assert subset["addresses"][0]["targetRef"]["name"] == "web-0"
    [item] = await cluster.wait(lambda: slices(cluster, SELECTING))
    assert item["metadata"]["labels"]["team"] == "a"
    await cluster.patch(SERVICES, "web", {"metadata": {"labels": {"team": None, "b": "c"}}})
    await cluster.wait(lambda: told(lambda found: "team" not in found["metadata"]["labels"]))
    await cluster.kubelet.report(Key("default", "web-0"), ready=False)
    found = await cluster.wait(lambda: told(lambda found: ips(found, "notReadyAddresses")))
    assert ips(found) == []
    # Without pods a slice stays that says neither ports nor addresses.
    await cluster.objects.delete(PODS, Key("default", "web-0"), grace_period_seconds=0)

    async def empty():
        [item] = await slices(cluster, SELECTING)
        return not item.get("endpoints") and not item.get("ports")

    await cluster.wait(empty)
    await cluster.objects.delete(SERVICES, Key("default", "web"))

    async def gone():
        return await try_get(cluster) is None and not await slices(cluster, SELECTING)

    await cluster.wait(gone)


async def test_a_pod_counts_once_its_node_is_there(cluster):
    await create_service(cluster)
    await create_pod(cluster, node="node-9")
    key = Key("default", "web-0")

    async def told(many):
        found = await slices(cluster, SELECTING)
        return sum(len(item.get("endpoints") or ()) for item in found) == many

    async def addressed():
        return (await cluster.get(PODS, key.name))["status"].get("podIP")

    await cluster.wait(addressed)
    await cluster.wait(lambda: told(0))
    # Endpoints never asked.
    await cluster.wait(lambda: try_get(cluster))
    await cluster.create(NODES, {"metadata": {"name": "node-9"}}, "")
    await cluster.wait(lambda: told(1))


@pytest.mark.parametrize("first", [True, False], ids=["by hand first", "selector first"])
async def test_a_selector_decides_who_tells_of_a_service(cluster, first):
    await create_service(cluster, selector=None if first else LABELS)
    if first:
        body = {"metadata": {"name": "web"}, "subsets": [BY_HAND]}
        await cluster.create(ENDPOINTS, body)
    own, other = (MIRRORING, SELECTING) if first else (SELECTING, MIRRORING)
    await cluster.wait(lambda: slices(cluster, own))
    assert not await slices(cluster, other)
    await cluster.patch(SERVICES, "web", {"spec": {"selector": LABELS if first else None}})
    if first:
        await cluster.wait(lambda: slices(cluster, SELECTING))

        async def unmirrored():
            return not await slices(cluster, MIRRORING)

        await cluster.wait(unmirrored)
    else:
        await cluster.patch(ENDPOINTS, "web", {"subsets": [BY_HAND]})
        await cluster.wait(lambda: slices(cluster, MIRRORING))


async def test_endpoints_by_hand_go_with_their_service_and_stay_without_one(cluster):
    for name in ("with", "without"):
        await cluster.create(ENDPOINTS, {"metadata": {"name": name}, "subsets": [BY_HAND]})
    await create_service(cluster, "with", selector=None)
    [mirror] = await cluster.wait(lambda: slices(cluster, MIRRORING, "with"))
    assert mirror["ports"] == [{"name": "a", "port": 80, "protocol": "TCP"}]
    await cluster.objects.delete(SERVICES, Key("default", "with"))

    async def gone():
        return await try_get(cluster, "with") is None

    await cluster.wait(gone)
    assert ips(await try_get(cluster, "without")) == ["10.9.0.1"]


async def test_one_address_under_two_ports_by_hand_has_one_slice(cluster):
    await create_service(cluster, selector=None)
    other = {**BY_HAND, "ports": [{"port": 90, "name": "b"}]}
    await cluster.create(ENDPOINTS, {"metadata": {"name": "web"}, "subsets": [BY_HAND, other]})
    [item] = await cluster.wait(lambda: slices(cluster, MIRRORING))
    assert [port["name"] for port in item["ports"]] == ["a", "b"]
