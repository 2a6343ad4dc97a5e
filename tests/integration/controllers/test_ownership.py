"""Whose ReplicaSets and pods are whose, when somebody else changes owners, labels or templates."""

import pytest

from pilothouse.services.controllers.adapters.policy.quotas import QUOTAS
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    EVENTS,
    PODS,
    REPLICA_SETS,
)

LABELS = {"app": "web"}
TEMPLATE = {
    "metadata": {"labels": LABELS},
    "spec": {"containers": [{"name": "web", "image": "web:1"}]},
}


def web(replicas=1, **spec):
    selector = {"matchLabels": LABELS}
    said = {"replicas": replicas, "selector": selector, "template": TEMPLATE, **spec}
    return {"metadata": {"name": "web"}, "spec": said}


async def owners(cluster, resource, name):
    return (await cluster.get(resource, name))["metadata"].get("ownerReferences") or []


async def one(cluster, resource, **more):
    async def question():
        found = await cluster.list(resource, **more)
        return found[0] if len(found) == 1 else None

    return await cluster.wait(question)


@pytest.mark.parametrize("stranger", [True, False], ids=["another's", "its own"])
async def test_an_owner_that_does_not_control_becomes_the_controller(cluster, stranger):
    """One more reference beside another's; its own becomes the controlling one."""
    made = await cluster.create(DEPLOYMENTS, web())
    replicaset = await one(cluster, REPLICA_SETS)
    name, uid = replicaset["metadata"]["name"], made["metadata"]["uid"]
    other = await cluster.create(CONFIG_MAPS, {"metadata": {"name": "web"}})
    kept = other["metadata"]["uid"] if stranger else uid
    of_kind = ("v1", "ConfigMap") if stranger else ("apps/v1", "Deployment")
    plain = {"apiVersion": of_kind[0], "kind": of_kind[1], "name": "web", "uid": kept}
    await cluster.patch(REPLICA_SETS, name, {"metadata": {"ownerReferences": [plain]}})

    async def taken():
        found = await owners(cluster, REPLICA_SETS, name)
        return found if any(item.get("controller") for item in found) else None

    found = await cluster.wait(taken)
    assert [item["uid"] for item in found] == ([kept, uid] if stranger else [uid])


async def test_a_pod_is_taken_over_by_the_owner_that_it_names(cluster):
    made = await cluster.create(REPLICA_SETS, web(0))
    uid = made["metadata"]["uid"]
    plain = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": uid}
    await cluster.patch(REPLICA_SETS, "web", {"spec": {"replicas": 1}})
    pod = await one(cluster, PODS)
    name = pod["metadata"]["name"]
    await cluster.patch(PODS, name, {"metadata": {"ownerReferences": [plain]}})

    async def taken():
        found = await owners(cluster, PODS, name)
        return found if any(item.get("controller") for item in found) else None

    assert [item["uid"] for item in await cluster.wait(taken)] == [uid]


async def test_a_replicaset_that_is_no_longer_selected_is_let_go_and_replaced(cluster):
    await cluster.create(DEPLOYMENTS, web())
    name = (await one(cluster, REPLICA_SETS))["metadata"]["name"]
    labels = {"app": None, "pod-template-hash": None, "other": "yes"}
    await cluster.patch(REPLICA_SETS, name, {"metadata": {"labels": labels}})

    async def replaced():
        others = [
            item for item in await cluster.list(REPLICA_SETS) if item["metadata"]["name"] != name
        ]
        return others if others and not await owners(cluster, REPLICA_SETS, name) else None

    [other] = await cluster.wait(replaced)
    status = (await cluster.get(DEPLOYMENTS, "web"))["status"]
    assert status["collisionCount"] == 1
    mark = other["metadata"]["labels"]["pod-template-hash"]
    assert other["metadata"]["name"] == f"web-{mark}"
    assert other["spec"]["selector"]["matchLabels"]["pod-template-hash"] == mark


async def test_a_taken_name_is_gone_around(cluster):
    """Somebody changed the template of its ReplicaSet: the name's hash finds another one."""
    await cluster.create(DEPLOYMENTS, web())
    name = (await one(cluster, REPLICA_SETS))["metadata"]["name"]
    changed = {"template": {"spec": {"terminationGracePeriodSeconds": 5}}}
    await cluster.patch(REPLICA_SETS, name, {"spec": changed})

    async def second():
        found = await cluster.get(DEPLOYMENTS, "web")
        revision = found["metadata"]["annotations"]["deployment.kubernetes.io/revision"]
        return found["status"].get("collisionCount") == 1 and revision == "2"

    await cluster.wait(second)


async def test_a_quota_that_allows_no_replicaset_is_told_of(cluster):
    hard = {"count/replicasets.apps": "0"}
    await cluster.create(QUOTAS, {"metadata": {"name": "few"}, "spec": {"hard": hard}})

    async def counted():
        found = await cluster.get(QUOTAS, "few")
        return found.get("status", {}).get("used")

    await cluster.wait(counted)
    await cluster.create(DEPLOYMENTS, web())

    async def told():
        found = (await cluster.get(DEPLOYMENTS, "web")).get("status", {}).get("conditions") or []
        return next((it for it in found if it["reason"] == "ReplicaSetCreateError"), None)

    said = await cluster.wait(told)
    assert (said["type"], said["status"]) == ("Progressing", "False")
    assert said["message"].startswith('Failed to create new replica set "web-')
    assert "exceeded quota: few" in said["message"]

    async def event():
        found = await cluster.list(EVENTS)
        return [item for item in found if item["reason"] == "ReplicaSetCreateError"]

    assert (await cluster.wait(event))[0]["type"] == "Warning"
    await cluster.objects.delete(QUOTAS, Key("default", "few"))
    await one(cluster, REPLICA_SETS)


async def test_a_paused_deployment_without_pods_grows_again(cluster):
    await cluster.create(DEPLOYMENTS, web(1))
    await one(cluster, PODS)
    await cluster.patch(DEPLOYMENTS, "web", {"spec": {"replicas": 0}})

    async def empty():
        return not await cluster.list(PODS)

    await cluster.wait(empty)
    await cluster.patch(DEPLOYMENTS, "web", {"spec": {"replicas": 2, "paused": True}})

    async def two():
        return len(await cluster.list(PODS)) == 2

    await cluster.wait(two)
