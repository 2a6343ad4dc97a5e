"""Endpoints say for whom they are meant, as their Service asks."""

from pilothouse.services.machinery.resources import ENDPOINT_SLICES, NODES, PODS, SERVICES

LABELS = {"app": "near"}


async def test_hints_follow_the_service(cluster):
    zone = {"topology.kubernetes.io/zone": "zone-a"}
    await cluster.patch(NODES, "node-1", {"metadata": {"labels": zone}}, "")
    spec = {"selector": LABELS, "ports": [{"port": 80}], "trafficDistribution": "PreferSameNode"}
    await cluster.create(SERVICES, {"metadata": {"name": "near"}, "spec": spec})
    containers = [{"name": "near", "image": "near:1"}]
    body = {"metadata": {"name": "near", "labels": LABELS}, "spec": {"containers": containers}}
    await cluster.create(PODS, body)

    async def hinted(wanted):
        found = await cluster.list(ENDPOINT_SLICES, labels="kubernetes.io/service-name=near")
        endpoints = [each for item in found for each in item.get("endpoints") or ()]
        return [each.get("hints") for each in endpoints] == [wanted]

    near = {"forNodes": [{"name": "node-1"}], "forZones": [{"name": "zone-a"}]}
    await cluster.wait(lambda: hinted(near))
    await cluster.patch(SERVICES, "near", {"spec": {"trafficDistribution": "PreferClose"}})
    await cluster.wait(lambda: hinted({"forZones": [{"name": "zone-a"}]}))
    await cluster.patch(SERVICES, "near", {"spec": {"trafficDistribution": None}})
    await cluster.wait(lambda: hinted(None))
