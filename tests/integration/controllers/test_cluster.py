"""Namespaces, accounts, nodes and garbage, and the gRPC face of it all."""

import base64

import pytest

from pilothouse.protos.mesh.v1 import controllers_pb2 as pb
from pilothouse.protos.mesh.v1.controllers_pb2_grpc import ControllersStub
from pilothouse.services.controllers import manager
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.errors import NotFound
from pilothouse.services.machinery.kinds import nodes
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    LEASES,
    NAMESPACES,
    NODES,
    PODS,
    REPLICA_SETS,
    SECRETS,
    SERVICE_ACCOUNTS,
)
from pilothouse.services.runtime.clock import SystemClock
from pilothouse.services.runtime.rpc.channel import open_channel

LABELS = {"app": "web"}
TEMPLATE = {
    "metadata": {"labels": LABELS},
    "spec": {"containers": [{"name": "web", "image": "web:1"}]},
}


async def gone(cluster, resource, name, namespace="default"):
    async def question():
        try:
            await cluster.get(resource, name, namespace)
        except NotFound:
            return True
        return False

    await cluster.wait(question)


async def with_pods(cluster, kind, number=2, namespace="default"):
    body = {
        "metadata": {"name": "web"},
        "spec": {
            "replicas": number,
            "selector": {"matchLabels": LABELS},
            "template": TEMPLATE,
        },
    }
    await cluster.create(kind, body, namespace)

    async def up():
        return len(await cluster.list(PODS, namespace)) == number

    await cluster.wait(up)


async def test_a_namespace_is_furnished_and_emptied(cluster):
    await cluster.create(NAMESPACES, {"metadata": {"name": "team"}}, "")
    await cluster.wait(lambda: cluster.get(SERVICE_ACCOUNTS, "default", "team"))
    trust = await cluster.wait(lambda: cluster.get(CONFIG_MAPS, "kube-root-ca.crt", "team"))
    assert trust["data"] == {"ca.crt": "the authority"}
    await with_pods(cluster, DEPLOYMENTS, namespace="team")
    held = {"metadata": {"name": "held", "finalizers": ["example.com/hold"]}}
    await cluster.create(CONFIG_MAPS, held, "team")
    await cluster.objects.delete(NAMESPACES, Key("", "team"))

    async def blocked():
        told = (await cluster.get(NAMESPACES, "team", ""))["status"].get("conditions", [])
        said = {item["type"]: item for item in told}
        held = said.get("NamespaceFinalizersRemaining", {})
        return held.get("message", "").endswith("example.com/hold in 1 resource instances")

    await cluster.wait(blocked)
    assert await cluster.list(PODS, "team") == []
    await cluster.patch(CONFIG_MAPS, "held", {"metadata": {"finalizers": None}}, "team")
    await gone(cluster, NAMESPACES, "team", "")


async def test_account_and_trust_come_back(cluster):
    before = await cluster.get(SERVICE_ACCOUNTS, "default")
    await cluster.objects.delete(SERVICE_ACCOUNTS, Key("default", "default"))

    async def another():
        found = await cluster.get(SERVICE_ACCOUNTS, "default")
        return found["metadata"]["uid"] != before["metadata"]["uid"]

    await cluster.wait(another)
    await cluster.wait(lambda: cluster.get(CONFIG_MAPS, "kube-root-ca.crt"))
    forged = {"data": {"ca.crt": "forged", "more": "x"}}
    await cluster.patch(CONFIG_MAPS, "kube-root-ca.crt", forged)

    async def restored():
        found = await cluster.get(CONFIG_MAPS, "kube-root-ca.crt")
        return found["data"] == {"ca.crt": "the authority"}

    await cluster.wait(restored)


async def test_a_token_secret_is_filled_and_goes_with_its_account(cluster):
    await cluster.create(SERVICE_ACCOUNTS, {"metadata": {"name": "robot"}})
    named = {"kubernetes.io/service-account.name": "robot"}
    secret = {
        "metadata": {"name": "robot-token", "annotations": named},
        "type": "kubernetes.io/service-account-token",
    }
    await cluster.create(SECRETS, secret)

    async def filled():
        return (await cluster.get(SECRETS, "robot-token")).get("data", {}).get("token")

    token = base64.b64decode(await cluster.wait(filled))
    assert token.count(b".") == 2
    await cluster.objects.delete(SERVICE_ACCOUNTS, Key("default", "robot"))
    await gone(cluster, SECRETS, "robot-token")


async def test_in_the_background_dependents_follow_their_owner(cluster):
    await with_pods(cluster, DEPLOYMENTS)
    await cluster.objects.delete(
        DEPLOYMENTS, Key("default", "web"), propagation_policy="Background"
    )

    async def empty():
        left = [*await cluster.list(REPLICA_SETS), *await cluster.list(PODS)]
        return not left

    await cluster.wait(empty)


async def test_in_the_foreground_the_owner_goes_last(cluster):
    await with_pods(cluster, REPLICA_SETS)
    await cluster.patch(
        PODS,
        (await cluster.list(PODS))[0]["metadata"]["name"],
        {"metadata": {"finalizers": ["example.com/hold"]}},
    )
    key = Key("default", "web")
    await cluster.objects.delete(REPLICA_SETS, key, propagation_policy="Foreground")

    async def one_left():
        return len(await cluster.list(PODS)) == 1

    await cluster.wait(one_left)
    assert (await cluster.get(REPLICA_SETS, "web"))["metadata"]["deletionTimestamp"]
    [held] = await cluster.list(PODS)
    await cluster.patch(PODS, held["metadata"]["name"], {"metadata": {"finalizers": None}})
    await gone(cluster, REPLICA_SETS, "web")
    assert await cluster.list(PODS) == []


async def test_orphans_stay(cluster):
    await with_pods(cluster, REPLICA_SETS)
    key = Key("default", "web")
    await cluster.objects.delete(REPLICA_SETS, key, propagation_policy="Orphan")
    await gone(cluster, REPLICA_SETS, "web")
    found = await cluster.list(PODS)
    assert len(found) == 2
    assert all(not pod["metadata"].get("ownerReferences") for pod in found)


async def test_what_names_an_owner_that_never_was_goes(cluster):
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "none", "uid": "0"}
    body = {"metadata": {"name": "lost", "ownerReferences": [owner]}}
    await cluster.create(CONFIG_MAPS, body)
    await gone(cluster, CONFIG_MAPS, "lost")


async def heartbeat(cluster, name="node-1"):
    """What a kubelet does: renew its Lease, and say that the node is ready."""
    now = SystemClock().now()
    lease = {"spec": {"holderIdentity": name, "renewTime": timestamps.render_micro(now)}}
    try:
        await cluster.patch(LEASES, name, lease, nodes.LEASE_NAMESPACE)
    except NotFound:
        await cluster.create(LEASES, {"metadata": {"name": name}, **lease}, nodes.LEASE_NAMESPACE)
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "KubeletReady",
        "lastHeartbeatTime": timestamps.render(now),
        "lastTransitionTime": timestamps.render(now),
    }
    status = {"status": {"conditions": [ready]}}
    await cluster.objects.patch(NODES, Key("", name), status, subresource="status", strategic=True)


async def taints_of(cluster, name="node-1"):
    found = (await cluster.get(NODES, name, "")).get("spec", {}).get("taints") or []
    return {(taint["key"], taint["effect"]) for taint in found}


@pytest.mark.parametrize("grace_seconds", [1])
async def test_a_node_gets_addresses_and_is_tainted_while_it_is_silent(cluster):
    async def addressed():
        return (await cluster.get(NODES, "node-1", "")).get("spec", {}).get(
            "podCIDR"
        ) == "10.244.0.0/24"

    await cluster.wait(addressed)
    await heartbeat(cluster)

    async def trusted():
        return not await taints_of(cluster)

    await cluster.wait(trusted)
    await with_pods(cluster, REPLICA_SETS)

    async def lost():
        return (nodes.UNREACHABLE, "NoSchedule") in await taints_of(cluster)

    await cluster.wait(lost)
    # It is the only one: where nobody is heard of, no pod is driven away.
    assert (nodes.UNREACHABLE, "NoExecute") not in await taints_of(cluster)
    told = (await cluster.get(NODES, "node-1", ""))["status"]["conditions"]
    assert {item["type"]: item["status"] for item in told}["Ready"] == "Unknown"

    async def unready():
        found = await cluster.list(PODS)
        return all(
            condition["status"] == "False"
            for pod in found
            for condition in pod["status"]["conditions"]
            if condition["type"] == "Ready"
        )

    await cluster.wait(unready)
    await heartbeat(cluster)
    await cluster.wait(trusted)


async def test_pods_that_do_not_tolerate_a_taint_leave(cluster):
    await with_pods(cluster, REPLICA_SETS, 1)
    [before] = await cluster.list(PODS)
    taint = {"key": "example.com/out", "effect": "NoExecute"}
    await cluster.patch(NODES, "node-1", {"spec": {"taints": [taint]}}, "")
    await gone(cluster, PODS, before["metadata"]["name"])


async def test_the_grpc_face_lists_and_resyncs(cluster):
    async with open_channel(f"unix://{cluster.socket}") as channel:
        stub = ControllersStub(channel)
        listed = await stub.List(pb.ListControllersRequest())
        # Without the authority's key nothing is signed, and what is no certificate not told of.
        unasked = {"csrsigning", "clustertrustbundle-publisher", "bootstrapsigner", "tokencleaner"}
        expected = manager.CONTROLLERS.keys() - unasked
        assert {item.name for item in listed.controllers} == expected
        answer = await stub.Resync(pb.ResyncRequest(controller="namespace"))
        assert answer.queued == 4
        one = pb.ResyncRequest(controller="deployment", namespace="default", name="web")
        assert (await stub.Resync(one)).queued == 1


@pytest.mark.parametrize(
    ("words", "there", "absent"),
    [
        (["*"], "podgc", None),
        (["*", "-podgc"], "nodeipam", "podgc"),
        (["podgc"], "podgc", "nodeipam"),
    ],
)
def test_controllers_are_chosen_by_name(words, there, absent):
    found = manager.chosen(words)
    assert there in found
    assert absent not in found


def test_a_controller_nobody_knows_is_refused():
    with pytest.raises(ValueError, match='"typo" is not in the list of known controllers'):
        manager.chosen(["*", "-typo"])
