"""Pods follow ReplicaSets, ReplicaSets follow Deployments, endpoints follow pods."""

import asyncio

from pilothouse.services.apiserver.bootstrap import SERVER
from pilothouse.services.apiserver.requests import DeleteOptions, Target
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import (
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    ENDPOINTS,
    EVENTS,
    PODS,
    REPLICA_SETS,
    REPLICATION_CONTROLLERS,
    SERVICES,
)

LABELS = {"app": "web"}


def pod_template(image="web:1"):
    return {
        "metadata": {"labels": LABELS},
        "spec": {"containers": [{"name": "web", "image": image}]},
    }


def web_deployment(replicas=3, **spec):
    return {
        "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": LABELS},
            "template": pod_template(),
            **spec,
        },
    }


def image_of(pod):
    return pod["spec"]["containers"][0]["image"]


async def rolled_out(cluster, replicas, generation=None):
    """What ``kubectl rollout status`` waits for."""

    async def question():
        found = await cluster.get(DEPLOYMENTS, "web")
        status = found.get("status", {})
        wanted = found["spec"]["replicas"]
        numbers = [
            status.get(name, 0) for name in ("updatedReplicas", "replicas", "availableReplicas")
        ]
        done = (
            wanted == replicas
            and status.get("observedGeneration", 0) >= found["metadata"]["generation"]
            and numbers == [replicas] * 3
        )
        return found if done else None

    return await cluster.wait(question)


async def test_a_deployment_comes_up(cluster):
    await cluster.create(DEPLOYMENTS, web_deployment())
    found = await rolled_out(cluster, 3)
    assert found["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"

    async def complete():
        told = (await cluster.get(DEPLOYMENTS, "web"))["status"]["conditions"]
        return {item["type"]: item for item in told} if len(told) == 2 else None

    told = await cluster.wait(complete)
    assert told["Available"]["status"] == "True"
    assert told["Progressing"]["reason"] == "NewReplicaSetAvailable"
    [replicaset] = await cluster.list(REPLICA_SETS)
    assert replicaset["metadata"]["ownerReferences"][0]["uid"] == found["metadata"]["uid"]
    pods = await cluster.list(PODS)
    assert len(pods) == 3
    assert {pod["metadata"]["generateName"] for pod in pods} == {
        f"{replicaset['metadata']['name']}-"
    }

    async def events():
        reasons = {event["reason"] for event in await cluster.list(EVENTS)}
        return reasons >= {"ScalingReplicaSet", "SuccessfulCreate"}

    await cluster.wait(events)


async def test_a_rolling_update_never_has_fewer_ready_endpoints_than_promised(cluster):
    strategy = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    await cluster.create(DEPLOYMENTS, web_deployment(strategy=strategy))
    await cluster.create(
        SERVICES,
        {"metadata": {"name": "web"}, "spec": {"selector": LABELS, "ports": [{"port": 80}]}},
    )
    await rolled_out(cluster, 3)

    async def ready_endpoints():
        slices = await cluster.list(ENDPOINT_SLICES, labels="kubernetes.io/service-name=web")
        return sum(
            bool(item["conditions"]["ready"])
            for each in slices
            for item in each.get("endpoints") or ()
        )

    async def three():
        return await ready_endpoints() == 3

    await cluster.wait(three)
    seen = set()

    async def watch():
        while True:
            seen.add(await ready_endpoints())
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        watching = group.create_task(watch())
        await cluster.patch(DEPLOYMENTS, "web", {"spec": {"template": pod_template("web:2")}})
        found = await rolled_out(cluster, 3)
        watching.cancel()
    assert min(seen) >= 3
    assert max(seen) <= 4
    assert found["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"
    assert {image_of(pod) for pod in await cluster.list(PODS)} == {"web:2"}


async def test_going_back_uses_the_old_replicaset(cluster):
    await cluster.create(DEPLOYMENTS, web_deployment(2))
    await rolled_out(cluster, 2)
    [first] = await cluster.list(REPLICA_SETS)
    for image, sets in (("web:2", 2), ("web:1", 2)):
        await cluster.patch(DEPLOYMENTS, "web", {"spec": {"template": pod_template(image)}})
        await rolled_out(cluster, 2)
        assert len(await cluster.list(REPLICA_SETS)) == sets
    back = await cluster.get(REPLICA_SETS, first["metadata"]["name"])
    assert back["spec"]["replicas"] == 2
    assert back["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"


async def test_a_rollout_that_can_not_get_ready_stops_and_keeps_the_old_pods(cluster):
    cluster.kubelet.unready.add("web:bad")
    await cluster.create(DEPLOYMENTS, web_deployment(2, progressDeadlineSeconds=2))
    await rolled_out(cluster, 2)
    await cluster.patch(DEPLOYMENTS, "web", {"spec": {"template": pod_template("web:bad")}})

    async def stuck():
        status = (await cluster.get(DEPLOYMENTS, "web"))["status"]
        told = {item["type"]: item["reason"] for item in status["conditions"]}
        return told["Progressing"] == "ProgressDeadlineExceeded"

    await cluster.wait(stuck)
    images = sorted(image_of(pod) for pod in await cluster.list(PODS))
    assert images == ["web:1", "web:1", "web:bad"]


async def test_scaled_up_and_down(cluster):
    await cluster.create(DEPLOYMENTS, web_deployment(2))
    await rolled_out(cluster, 2)
    for number in (40, 1):
        await cluster.patch(DEPLOYMENTS, "web", {"spec": {"replicas": number}})
        await rolled_out(cluster, number)

    async def one():
        return len(await cluster.list(PODS)) == 1

    await cluster.wait(one)


async def test_recreate_never_runs_two_templates(cluster):
    await cluster.create(DEPLOYMENTS, web_deployment(2, strategy={"type": "Recreate"}))
    await rolled_out(cluster, 2)
    seen = set()

    async def watch():
        while True:
            seen.add(frozenset(image_of(pod) for pod in await cluster.list(PODS)))
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        watching = group.create_task(watch())
        await cluster.patch(DEPLOYMENTS, "web", {"spec": {"template": pod_template("web:2")}})
        await rolled_out(cluster, 2)
        watching.cancel()
    assert frozenset({"web:1", "web:2"}) not in seen


async def test_a_deleted_pod_is_replaced_and_exactly_one_comes(cluster):
    body = {
        "metadata": {"name": "web"},
        "spec": {"replicas": 2, "selector": LABELS, "template": pod_template()},
    }
    await cluster.create(REPLICATION_CONTROLLERS, body)

    async def ready():
        found = await cluster.get(REPLICATION_CONTROLLERS, "web")
        return found["status"].get("readyReplicas") == 2

    await cluster.wait(ready)
    before = {pod["metadata"]["name"] for pod in await cluster.list(PODS)}
    gone = min(before)
    await cluster.objects.delete(PODS, Key("default", gone))

    async def replaced():
        now = {pod["metadata"]["name"] for pod in await cluster.list(PODS)}
        return gone not in now and len(now) == 2 and await ready()

    await cluster.wait(replaced)
    made = [event for event in await cluster.list(EVENTS) if event["reason"] == "SuccessfulCreate"]
    assert sum(event["count"] for event in made) == 3


async def test_a_pod_of_its_own_is_adopted_and_a_relabelled_one_released(cluster):
    await cluster.create(PODS, {"metadata": {"name": "lone", "labels": LABELS},
                                "spec": pod_template()["spec"]})  # fmt: skip
    await cluster.create(
        REPLICA_SETS,
        {
            "metadata": {"name": "web"},
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": LABELS},
                "template": pod_template(),
            },
        },
    )

    async def adopted():
        owners = (await cluster.get(PODS, "lone"))["metadata"].get("ownerReferences")
        return owners and len(await cluster.list(PODS)) == 2

    await cluster.wait(adopted)
    await cluster.patch(PODS, "lone", {"metadata": {"labels": {"app": "other"}}})

    async def released():
        owners = (await cluster.get(PODS, "lone"))["metadata"].get("ownerReferences")
        return not owners and len(await cluster.list(PODS)) == 3

    await cluster.wait(released)


async def test_readiness_reaches_both_kinds_of_endpoints(cluster):
    await cluster.create(
        SERVICES,
        {
            "metadata": {"name": "web"},
            "spec": {"selector": LABELS, "ports": [{"port": 80, "targetPort": "http"}]},
        },
    )
    port = {"containerPort": 8080, "name": "http"}
    spec = {"containers": [{"name": "web", "image": "web:1", "ports": [port]}]}
    await cluster.create(PODS, {"metadata": {"name": "one", "labels": LABELS}, "spec": spec})

    async def shown(*, ready):
        slices = await cluster.list(ENDPOINT_SLICES, labels="kubernetes.io/service-name=web")
        old = (await cluster.get(ENDPOINTS, "web")).get("subsets") or [{}]
        endpoints = [item for each in slices for item in each.get("endpoints") or ()]
        name = "addresses" if ready else "notReadyAddresses"
        return (
            [item["conditions"]["ready"] for item in endpoints] == [ready]
            and [port["port"] for each in slices for port in each["ports"]] == [8080]
            and len(old[0].get(name) or ()) == 1
        )

    await cluster.wait(lambda: shown(ready=True))
    await cluster.kubelet.report(Key("default", "one"), ready=False)
    await cluster.wait(lambda: shown(ready=False))
    slices = await cluster.list(ENDPOINT_SLICES)
    untouched = {item["metadata"]["labels"]["kubernetes.io/service-name"] for item in slices}
    assert untouched == {"web", "kubernetes"}


async def test_what_happened_behind_a_shut_door_is_made_good(cluster):
    await cluster.create(DEPLOYMENTS, web_deployment(3))
    await rolled_out(cluster, 3)
    before = {pod["metadata"]["name"] for pod in await cluster.list(PODS)}
    await cluster.door.shut()
    registry = cluster.door.registry
    lost = min(before)
    options = DeleteOptions(grace_period_seconds=0)
    await registry.delete(SERVER, Target("", "v1", "pods", "default", lost), options)
    await asyncio.sleep(0.3)
    await cluster.door.open()

    async def whole():
        now = {pod["metadata"]["name"] for pod in await cluster.list(PODS)}
        return lost not in now and len(now) == 3

    await cluster.wait(whole)
    await cluster.patch(DEPLOYMENTS, "web", {"spec": {"template": pod_template("web:2")}})
    await rolled_out(cluster, 3)
