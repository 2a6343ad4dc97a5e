"""StatefulSets with claims, and what a controller that dies over and over leaves behind."""

import asyncio
import contextlib
import json

from pilothouse.services.controllers import manager
from pilothouse.services.controllers.adapters.world import World
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import (
    CONTROLLER_REVISIONS,
    DAEMON_SETS,
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    PODS,
    SERVICE_ACCOUNTS,
    STATEFUL_SETS,
)
from pilothouse.services.runtime.client.objects import Objects, Selection
from pilothouse.services.runtime.clock import SystemClock

LABELS = {"app": "db"}
LIFE_SECONDS = 0.1
PATIENCE_SECONDS = 20.0


def template(image="db:1"):
    return {
        "metadata": {"labels": LABELS},
        "spec": {"containers": [{"name": "db", "image": image}]},
    }


def stateful(replicas, **spec):
    selector = {"matchLabels": LABELS}
    told = {"replicas": replicas, "serviceName": "db", "selector": selector, "template": template()}
    return {"metadata": {"name": "db"}, "spec": {**told, **spec}}


def names(items):
    return sorted(item["metadata"]["name"] for item in items)


async def test_claims_come_with_their_pods_and_go_as_the_policy_says(cluster):
    claim = {
        "metadata": {"name": "data", "labels": {"tier": "gold"}},
        "spec": {
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}},
        },
    }  # fmt: skip
    policy = {"whenDeleted": "Delete", "whenScaled": "Delete"}
    body = stateful(2, volumeClaimTemplates=[claim], persistentVolumeClaimRetentionPolicy=policy)
    await cluster.create(STATEFUL_SETS, body)

    async def claimed():
        return names(await cluster.list(PERSISTENT_VOLUME_CLAIMS))

    async def is_claimed(*wanted):
        return await claimed() == list(wanted)

    await cluster.wait(lambda: is_claimed("data-db-0", "data-db-1"))
    made = await cluster.get(PERSISTENT_VOLUME_CLAIMS, "data-db-0")
    assert made["metadata"]["labels"] == {"tier": "gold", **LABELS}
    assert [owner["kind"] for owner in made["metadata"]["ownerReferences"]] == ["StatefulSet"]
    pod = await cluster.get(PODS, "db-0")
    assert pod["spec"]["volumes"][0] == {
        "name": "data",
        "persistentVolumeClaim": {"claimName": "data-db-0"},
    }
    await cluster.patch(STATEFUL_SETS, "db", {"spec": {"replicas": 1}})
    await cluster.wait(lambda: is_claimed("data-db-0"))
    retain = {"spec": {"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain"}}}
    await cluster.patch(STATEFUL_SETS, "db", retain)

    async def is_free():
        found = await cluster.get(PERSISTENT_VOLUME_CLAIMS, "data-db-0")
        return not found["metadata"].get("ownerReferences")

    await cluster.wait(is_free)
    await cluster.objects.delete(STATEFUL_SETS, Key("default", "db"))

    async def all_gone():
        return not await cluster.list(PODS) and not await cluster.list(CONTROLLER_REVISIONS)

    await cluster.wait(all_gone)
    assert await claimed() == ["data-db-0"]


async def test_daemons_come_and_go_with_nodes(cluster):
    # No kubelet says of these nodes that they are ready.
    unready = {"key": "node.kubernetes.io/not-ready", "operator": "Exists"}
    pod = template()
    pod["spec"]["tolerations"] = [unready]
    body = {
        "metadata": {"name": "db"},
        "spec": {"selector": {"matchLabels": LABELS}, "template": pod},
    }
    await cluster.create(DAEMON_SETS, body)

    async def places():
        return sorted(pod["spec"].get("nodeName", "") for pod in await cluster.list(PODS))

    async def is_on(*wanted):
        return await places() == list(wanted)

    await cluster.wait(lambda: is_on("node-1"))
    await cluster.create(NODES, {"metadata": {"name": "node-2"}}, namespace="")
    await cluster.wait(lambda: is_on("node-1", "node-2"))
    taint = [{"key": "mine", "effect": "NoExecute"}]
    await cluster.objects.patch(NODES, Key("", "node-2"), {"spec": {"taints": taint}})
    await cluster.wait(lambda: is_on("node-1"))


async def lead(channel, seconds=None):
    """The StatefulSet controller with caches of its own, until cancelled or for a while."""
    world = World(Objects(channel), SystemClock())
    controllers = manager.build(world, manager.Settings("", None), frozenset({"statefulset"}))
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
            group.create_task(world.run())
            group.create_task(manager.lead(world, controllers.values()))


async def test_a_controller_that_dies_again_and_again_ends_every_update(channel, kubelet):
    objects = kubelet.objects
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    await objects.create(SERVICE_ACCOUNTS, "default", account)
    kind = {"apiVersion": STATEFUL_SETS.api_version, "kind": STATEFUL_SETS.kind}
    await objects.create(STATEFUL_SETS, "default", {**kind, **stateful(3)})

    async def is_rolled(image):
        status = json.loads(await objects.get(STATEFUL_SETS, Key("default", "db")))["status"]
        found, _ = await objects.list(PODS, Selection("default"))
        pods = [json.loads(text) for text in found]
        images = [pod["spec"]["containers"][0]["image"] for pod in pods]
        return (
            names(pods) == ["db-0", "db-1", "db-2"]
            and images == [image] * 3
            and status.get("currentRevision") == status.get("updateRevision")
            and status.get("readyReplicas") == 3
        )

    async def wait_rolled(image):
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await is_rolled(image):
                await asyncio.sleep(0.02)

    async with asyncio.TaskGroup() as group:
        running = group.create_task(kubelet.run())
        for image in ("db:1", "db:2", "db:1"):
            patch = {"spec": {"template": template(image)}}
            await objects.patch(STATEFUL_SETS, Key("default", "db"), patch)
            for _ in range(6):
                await lead(channel, LIFE_SECONDS)
            leading = [group.create_task(lead(channel)) for _ in range(2)]
            await wait_rolled(image)
            for task in leading:
                task.cancel()
        running.cancel()
    found, _ = await objects.list(CONTROLLER_REVISIONS, Selection("default"))
    assert sorted(json.loads(text)["revision"] for text in found) == [2, 3]
