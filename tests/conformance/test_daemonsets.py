"""DaemonSets: a pod on every node, its node's changes, updates, and the history of templates."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from kit.cluster import Cluster
from kit.official import Official
from kit.syllabus import line
from kit.workloads import SLEEPER, Watched, image_of, ready, workload

DAEMON = "apps/daemon_set.go"
HASH = "controller-revision-hash"
NODES = ("node-1", "node-2")
# What no registry of the cluster has.
ABSENT = "foo:non-existent"


@pytest.fixture
def world(cluster: Cluster, client: Official, namespace: str) -> Watched:
    return Watched(cluster, client, namespace)


@pytest.fixture
def color(world: Watched) -> Iterator[str]:
    """A label that nodes wear only for this test."""
    key = f"color-{uuid.uuid4().hex[:8]}"
    yield key
    for node in NODES:
        world.client.core.patch_node(node, {"metadata": {"labels": {key: None}}})


def start(world: Watched, **spec: Any) -> None:
    world.create(workload("DaemonSet", "ds", SLEEPER, **spec))
    world.cluster.eventually("it runs on both", lambda: places(world) == [*NODES])


def places(world: Watched, **_: Any) -> list[str]:
    """The nodes of its ready pods."""
    return sorted(pod["spec"]["nodeName"] for pod in world.pods("ds").values() if ready(pod))


def status(world: Watched) -> dict[str, Any]:
    told: dict[str, Any] = world.get("daemonsets", "ds")["status"]
    return told


def paint(world: Watched, node: str, **labels: str | None) -> None:
    world.client.core.patch_node(node, {"metadata": {"labels": labels}})


@line(DAEMON, "simple daemon")
def test_one_a_node_and_again_when_one_goes(world: Watched) -> None:
    start(world)
    world.cluster.eventually(
        "its status says so",
        lambda: (status(world)["desiredNumberScheduled"], status(world)["numberReady"],
                 status(world).get("numberAvailable")) == (2, 2, 2),
    )  # fmt: skip
    gone = next(iter(world.pods("ds")))
    world.kubectl("delete", "pod", gone)
    world.cluster.eventually("it is back", lambda: places(world) == [*NODES])
    assert gone not in world.pods("ds")
    for pod in world.pods("ds").values():
        (term,) = pod["spec"]["affinity"]["nodeAffinity"][
            "requiredDuringSchedulingIgnoredDuringExecution"
        ]["nodeSelectorTerms"]
        assert term["matchFields"][0]["values"] == [pod["spec"]["nodeName"]]
        tolerated = {item["key"] for item in pod["spec"]["tolerations"]}
        assert {"node.kubernetes.io/not-ready", "node.kubernetes.io/unschedulable"} <= tolerated


@line(DAEMON, "complex daemon")
def test_it_follows_the_labels_of_nodes(world: Watched, color: str) -> None:
    world.create(workload("DaemonSet", "ds", SLEEPER, {"nodeSelector": {color: "blue"}}))
    world.cluster.eventually("seen", lambda: status(world).get("observedGeneration") == 1)
    assert places(world) == []
    paint(world, "node-1", **{color: "blue"})
    world.cluster.eventually("it is there", lambda: places(world) == ["node-1"])
    assert status(world)["desiredNumberScheduled"] == 1
    paint(world, "node-1", **{color: "green"})
    world.cluster.eventually("it is gone", lambda: not world.pods("ds"))
    pod = {"spec": {"template": {"spec": {"nodeSelector": {color: "green"}}}}}
    world.patch("daemonsets", "ds", pod)
    world.cluster.eventually("it is there again", lambda: places(world) == ["node-1"])


@line(DAEMON, "retry failed daemon pods")
def test_a_failed_pod_is_replaced(world: Watched) -> None:
    start(world)
    failed = next(iter(world.pods("ds")))
    world.fail(failed)
    world.cluster.eventually(
        "another runs in its place",
        lambda: failed not in world.pods("ds") and places(world) == [*NODES],
    )


@line(DAEMON, "RollingUpdate")
def test_an_update_goes_from_node_to_node(world: Watched) -> None:
    start(world)
    first = {pod["metadata"]["labels"][HASH] for pod in world.pods("ds").values()}
    world.kubectl("set", "env", "daemonset/ds", "ROUND=2")
    world.rolled("daemonset/ds")
    second = {pod["metadata"]["labels"][HASH] for pod in world.pods("ds").values()}
    assert (len(first), len(second)) == (1, 1)
    assert first != second
    kept = {item["metadata"]["labels"][HASH]: item["revision"]
            for item in world.list("controllerrevisions")}  # fmt: skip
    assert kept == {first.pop(): 1, second.pop(): 2}
    assert status(world)["updatedNumberScheduled"] == 2
    surging = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    world.patch("daemonsets", "ds", {"spec": {"updateStrategy": surging}})
    world.kubectl("rollout", "restart", "daemonset/ds")
    world.rolled("daemonset/ds")
    world.cluster.eventually("one a node", lambda: places(world) == [*NODES])


@line(DAEMON, "rollback without unnecessary restarts")
def test_a_rollback_leaves_what_was_not_reached(world: Watched) -> None:
    start(world)
    before = set(world.pods("ds"))
    world.kubectl("set", "image", "daemonset/ds", f"c={ABSENT}")
    world.cluster.eventually(
        "one pod can not start",
        lambda: [image_of(pod) for pod in world.pods("ds").values()].count(ABSENT) == 1,
    )
    world.kubectl("rollout", "undo", "daemonset/ds")
    world.rolled("daemonset/ds")
    world.cluster.eventually("one a node", lambda: places(world) == [*NODES])
    after = world.pods("ds")
    assert all(image_of(pod) == "busybox" for pod in after.values())
    assert len(before & set(after)) == 1


@line("apps/controller_revision.go", "manage ControllerRevision lifecycle")
def test_revisions_are_objects_like_others(world: Watched) -> None:
    start(world)
    (first,) = world.list("controllerrevisions")
    name = first["metadata"]["name"]
    collection = f"/apis/apps/v1/namespaces/{world.namespace}/controllerrevisions"
    every = world.client.raw("GET", "/apis/apps/v1/controllerrevisions?labelSelector=app%3Dds")
    assert name in {item["metadata"]["name"] for item in every.json["items"]}
    assert first["metadata"]["ownerReferences"][0]["name"] == "ds"
    assert first["data"]["spec"]["template"]["$patch"] == "replace"
    patched = world.patch("controllerrevisions", name, {"metadata": {"labels": {name: "patched"}}})
    assert patched["metadata"]["labels"][name] == "patched"

    metadata = {key: first["metadata"][key] for key in ("labels", "ownerReferences")}
    copy = {**first, "revision": 2, "metadata": {**metadata, "name": "copy"}}
    assert world.client.raw("POST", collection, copy).code == 201
    assert len(world.list("controllerrevisions")) == 2
    assert world.client.raw("DELETE", f"{collection}/{name}").code == 200
    (left,) = world.list("controllerrevisions")
    left["metadata"]["labels"]["copy"] = "updated"
    assert world.client.raw("PUT", f"{collection}/copy", left).code == 200

    pod = {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 1}}}}
    world.patch("daemonsets", "ds", pod)
    world.cluster.eventually("there are two", lambda: len(world.list("controllerrevisions")) == 2)
    world.rolled("daemonset/ds")
    assert world.client.raw("DELETE", f"{collection}?labelSelector=copy%3Dupdated").code == 200
    (last,) = world.list("controllerrevisions")
    assert last["revision"] == 3
    world.patch("daemonsets", "ds", {"spec": {"template": {"spec": {"priority": 0}}}})
