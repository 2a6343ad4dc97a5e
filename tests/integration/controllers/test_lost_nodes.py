"""A node dies: a StatefulSet's pod is not born again before somebody says that the node is off."""

import asyncio
import json

import pytest

from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.errors import NotFound
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import LEASES, NODES, PODS, STATEFUL_SETS
from pilothouse.services.runtime.clock import SystemClock

LABELS = {"app": "db"}
SET = {
    "metadata": {"name": "db"},
    "spec": {
        "serviceName": "db",
        "replicas": 1,
        "selector": {"matchLabels": LABELS},
        "template": {
            "metadata": {"labels": LABELS},
            "spec": {
                "containers": [{"name": "db", "image": "db:1"}],
                "tolerations": [
                    {"key": f"node.kubernetes.io/{key}", "operator": "Exists",
                     "effect": "NoExecute", "tolerationSeconds": 0}
                    for key in ("unreachable", "not-ready")
                ],
            },
        },
    },
}  # fmt: skip


@pytest.fixture
def grace_seconds():
    return 2


async def live(cluster, name):
    """Say again and again that the node is there."""
    lease = {"metadata": {"name": name}, "spec": {"holderIdentity": name}}
    await cluster.create(LEASES, lease, "kube-node-lease")
    while True:
        now = timestamps.render_micro(SystemClock().now())
        patch = {"spec": {"renewTime": now}}
        await cluster.patch(LEASES, name, patch, "kube-node-lease")
        await asyncio.sleep(0.3)


async def ready(cluster, name):
    told = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
    patch = {"status": {"conditions": [told]}}
    await cluster.objects.patch(NODES, Key("", name), patch, subresource="status")


def where(cluster, holds):
    """Asks for the pod until that holds of it."""

    async def asked():
        try:
            pod = json.loads(await cluster.objects.get(PODS, Key("default", "db-0")))
        except NotFound:
            return None
        return pod if holds(pod) else None

    return cluster.wait(asked)


def is_running(pod):
    return pod["status"].get("phase") == "Running"


def is_leaving(pod):
    return "deletionTimestamp" in pod["metadata"]


async def test_a_pod_of_a_lost_node_comes_back_once_and_only_when_it_may(cluster):
    await cluster.create(NODES, {"metadata": {"name": "node-2"}}, "")
    async with asyncio.TaskGroup() as group:
        alive = group.create_task(live(cluster, "node-2"))
        await ready(cluster, "node-2")
        await ready(cluster, "node-1")
        await cluster.create(STATEFUL_SETS, SET)
        first = await where(cluster, is_running)
        uid = first["metadata"]["uid"]
        assert first["spec"]["nodeName"] == "node-1"
        cluster.kubelet.dead.add("node-1")
        cluster.kubelet.node = "node-2"
        pod = await where(cluster, is_leaving)
        taints = (await cluster.get(NODES, "node-1", ""))["spec"]["taints"]
        assert {"node.kubernetes.io/unreachable"} == {taint["key"] for taint in taints}
        assert pod["metadata"]["uid"] == uid
        told = {item["type"]: item for item in pod["status"]["conditions"]}
        assert told["Ready"]["status"] == "False"
        assert told["DisruptionTarget"]["reason"] == "DeletionByTaintManager"
        # However often it is looked at: nobody knows whether the pod still runs.
        await asyncio.sleep(0.5)
        assert (await cluster.get(PODS, "db-0"))["metadata"]["uid"] == uid
        off = {"key": "node.kubernetes.io/out-of-service", "value": "off", "effect": "NoExecute"}
        await cluster.patch(NODES, "node-1", {"spec": {"taints": [*taints, off]}}, "")
        again = await where(cluster, lambda pod: pod["metadata"]["uid"] != uid and is_running(pod))
        assert again["spec"]["nodeName"] == "node-2"
        alive.cancel()
