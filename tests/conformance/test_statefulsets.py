"""StatefulSets: order, identity, updates, and what becomes of unhealthy pods."""

from typing import Any

import pytest
from kit.cluster import Cluster
from kit.lifecycle import watched
from kit.official import Official
from kit.syllabus import line
from kit.workloads import FRAGILE, SLEEPER, Watched, ready, workload

STATEFUL = "apps/statefulset.go"
HASH = "controller-revision-hash"


@pytest.fixture
def world(cluster: Cluster, client: Official, namespace: str) -> Watched:
    return Watched(cluster, client, namespace)


def start(world: Watched, container: dict[str, Any], replicas: int, **spec: Any) -> None:
    world.create(workload("StatefulSet", "ss", container, replicas=replicas, **spec))
    world.cluster.eventually("all serve", lambda: serving(world) == replicas)


def serving(world: Watched) -> int:
    return sum(ready(pod) for pod in world.pods("ss").values())


def revisions(world: Watched) -> dict[str, str]:
    """Each pod's revision."""
    return {name: pod["metadata"]["labels"][HASH] for name, pod in world.pods("ss").items()}


def order(world: Watched, since: str, count: int, kind: str) -> list[str]:
    """The names of the first ``count`` pods that a watch tells of."""
    path = f"/api/v1/namespaces/{world.namespace}/pods?labelSelector=app%3Dss"
    names: list[str] = []
    for event in watched(world.client, f"{path}&resourceVersion={since}"):
        if event["type"] == kind:
            names.append(event["object"]["metadata"]["name"])
            if len(names) == count:
                break
    return names


def now(world: Watched) -> str:
    path = f"/api/v1/namespaces/{world.namespace}/pods"
    version: str = world.client.raw("GET", path).json["metadata"]["resourceVersion"]
    return version


@line(STATEFUL, "ordered scaling, halts if unhealthy")
def test_in_order_and_only_while_all_serve(world: Watched) -> None:
    since = now(world)
    start(world, FRAGILE, 1)
    world.sicken("ss-0")
    world.kubectl("scale", "statefulset/ss", "--replicas=3")
    world.cluster.eventually(
        "the change is seen",
        lambda: world.get("statefulsets", "ss")["status"].get("observedGeneration") == 2,
    )
    assert list(world.pods("ss")) == ["ss-0"]
    world.heal("ss-0")
    world.cluster.eventually("all three serve", lambda: serving(world) == 3)
    assert order(world, since, 3, "ADDED") == ["ss-0", "ss-1", "ss-2"]
    for name in ("ss-0", "ss-1", "ss-2"):
        world.sicken(name)
    since = now(world)
    world.kubectl("scale", "statefulset/ss", "--replicas=0")
    world.cluster.eventually(
        "the change is seen",
        lambda: world.get("statefulsets", "ss")["status"].get("observedGeneration") == 3,
    )
    assert set(world.pods("ss")) == {"ss-0", "ss-1", "ss-2"}
    for name in ("ss-0", "ss-1", "ss-2"):
        world.heal(name)
    world.cluster.eventually("all are gone", lambda: not world.pods("ss"))
    assert order(world, since, 3, "DELETED") == ["ss-2", "ss-1", "ss-0"]


@line(STATEFUL, "burst scaling with unhealthy pods")
def test_in_parallel_whether_they_serve_or_not(world: Watched) -> None:
    start(world, FRAGILE, 1, podManagementPolicy="Parallel")
    world.sicken("ss-0")
    world.kubectl("scale", "statefulset/ss", "--replicas=3")
    world.cluster.eventually("two more serve", lambda: serving(world) == 2)
    world.sicken("ss-1")
    world.kubectl("scale", "statefulset/ss", "--replicas=0")
    world.cluster.eventually("all are gone", lambda: not world.pods("ss"))
    world.cluster.eventually(
        "none is counted", lambda: world.get("statefulsets", "ss")["status"]["replicas"] == 0
    )


@line(STATEFUL, "rolling update and roll back")
def test_an_update_and_back(world: Watched) -> None:
    start(world, SLEEPER, 3)
    status = world.get("statefulsets", "ss")["status"]
    first = status["currentRevision"]
    assert status["updateRevision"] == first
    assert set(revisions(world).values()) == {first}
    for name, pod in world.pods("ss").items():
        labels = pod["metadata"]["labels"]
        assert labels["statefulset.kubernetes.io/pod-name"] == name
        assert f"ss-{labels['apps.kubernetes.io/pod-index']}" == name
        assert (pod["spec"]["hostname"], pod["spec"]["subdomain"]) == (name, "ss")
    since = now(world)
    world.kubectl("set", "env", "statefulset/ss", "ROUND=2")
    world.rolled("statefulset/ss")
    status = world.get("statefulsets", "ss")["status"]
    second = status["updateRevision"]
    assert status["currentRevision"] == second != first
    assert set(revisions(world).values()) == {second}
    assert order(world, since, 3, "DELETED") == ["ss-2", "ss-1", "ss-0"]
    world.kubectl("rollout", "undo", "statefulset/ss")
    world.rolled("statefulset/ss")
    assert set(revisions(world).values()) == {first}
    found = {
        item["metadata"]["name"]: item["revision"] for item in world.list("controllerrevisions")
    }
    assert found == {second: 2, first: 3}
    history = world.kubectl("rollout", "history", "statefulset/ss")
    assert [text.split()[0] for text in history.splitlines()[2:] if text.strip()] == ["2", "3"]


@line(STATEFUL, "canary and phased rolling update")
def test_a_partition_holds_the_update_up(world: Watched) -> None:
    def roll(partition: int) -> None:
        rolling = {"type": "RollingUpdate", "rollingUpdate": {"partition": partition}}
        world.patch("statefulsets", "ss", {"spec": {"updateStrategy": rolling}})

    rolling = {"type": "RollingUpdate", "rollingUpdate": {"partition": 3}}
    start(world, SLEEPER, 3, updateStrategy=rolling)
    first = world.get("statefulsets", "ss")["status"]["currentRevision"]
    world.kubectl("set", "env", "statefulset/ss", "ROUND=2")
    world.cluster.eventually(
        "there is an update",
        lambda: world.get("statefulsets", "ss")["status"]["updateRevision"] != first,
    )
    second = world.get("statefulsets", "ss")["status"]["updateRevision"]
    assert set(revisions(world).values()) == {first}
    roll(2)
    canary = {"ss-0": first, "ss-1": first, "ss-2": second}
    world.cluster.eventually("a canary", lambda: revisions(world) == canary and serving(world) == 3)
    world.kubectl("delete", "pod", "ss-0", "ss-2", "--wait=false")
    world.cluster.eventually(
        "each is made anew as it was", lambda: revisions(world) == canary and serving(world) == 3
    )
    status = world.get("statefulsets", "ss")["status"]
    assert (status["currentRevision"], status["updateRevision"]) == (first, second)
    for partition in (1, 0):
        roll(partition)
        wanted = {f"ss-{at}": second if at >= partition else first for at in range(3)}
        world.cluster.eventually(
            "the next phase",
            lambda wanted=wanted: revisions(world) == wanted and serving(world) == 3,
        )
    world.cluster.eventually(
        "the update is current",
        lambda: world.get("statefulsets", "ss")["status"]["currentRevision"] == second,
    )


@line(STATEFUL, "scale subresource")
def test_replicas_through_scale(world: Watched) -> None:
    start(world, SLEEPER, 1)
    path = f"/apis/apps/v1/namespaces/{world.namespace}/statefulsets/ss/scale"
    scale = world.client.raw("GET", path).json
    assert (scale["spec"]["replicas"], scale["status"]["replicas"]) == (1, 1)
    scale["spec"]["replicas"] = 2
    scale["metadata"].pop("resourceVersion")
    assert world.client.raw("PUT", path, scale).json["spec"]["replicas"] == 2
    assert world.get("statefulsets", "ss")["spec"]["replicas"] == 2
    headers = {"Content-Type": "application/merge-patch+json"}
    patched = world.client.raw("PATCH", path, {"spec": {"replicas": 3}}, headers=headers)
    assert patched.json["spec"]["replicas"] == 3
    world.cluster.eventually("three serve", lambda: serving(world) == 3)


@line(STATEFUL, "recreate evicted statefulset")
def test_a_pod_that_its_node_refuses_is_made_anew(world: Watched) -> None:
    port = {"containerPort": 21017, "hostPort": 21017, "name": "conflict"}
    container = {**SLEEPER, "ports": [port]}
    first = {
        "metadata": {"name": "first"},
        "spec": {
            "containers": [container], "nodeName": "node-1", "terminationGracePeriodSeconds": 0,
        },
    }  # fmt: skip
    world.client.core.create_namespaced_pod(world.namespace, first)
    world.kubectl("wait", "--for=condition=Ready", "pod/first", "--timeout=60s")
    since = now(world)
    body = workload("StatefulSet", "ss", container, {"nodeName": "node-1"}, replicas=1)
    world.create(body)
    assert order(world, since, 1, "DELETED") == ["ss-0"]
    world.client.core.delete_namespaced_pod("first", world.namespace)
    world.cluster.eventually("it serves", lambda: serving(world) == 1)
