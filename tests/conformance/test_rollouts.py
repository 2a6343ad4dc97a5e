"""Deployments, ReplicaSets and ReplicationControllers: who owns which pods, and how they change."""

from typing import Any

import pytest
from kit.cluster import Cluster
from kit.lifecycle import watched
from kit.manifests import sleeper
from kit.official import Official
from kit.syllabus import line
from kit.workloads import FRAGILE, SERVER, SLEEPER, Watched, ready, template, workload

DEPLOYMENT, REPLICA_SET, RC = "apps/deployment.go", "apps/replica_set.go", "apps/rc.go"
ABSENT = "foo:non-existent"
REVISION = "deployment.kubernetes.io/revision"


@pytest.fixture
def world(cluster: Cluster, client: Official, namespace: str) -> Watched:
    return Watched(cluster, client, namespace)


def start(world: Watched, replicas: int, container: dict[str, Any] = SLEEPER, **spec: Any) -> None:
    world.create(workload("Deployment", "web", container, replicas=replicas, **spec))
    world.rolled("deployment/web")


def sizes(world: Watched) -> dict[str, int]:
    """How many pods each revision shall have."""
    return {
        item["metadata"].get("annotations", {}).get(REVISION, ""): item["spec"]["replicas"]
        for item in world.list("replicasets")
    }


def owners(world: Watched, pod: str) -> list[str]:
    found = world.client.core.read_namespaced_pod(pod, world.namespace)
    return [item.name for item in found.metadata.owner_references or () if item.controller]


@line(DEPLOYMENT, "Recreate")
def test_recreate_never_has_old_and_new_beside_each_other(world: Watched) -> None:
    start(world, 2, strategy={"type": "Recreate"})
    before = set(world.pods("web"))
    path = f"/api/v1/namespaces/{world.namespace}/pods?labelSelector=app%3Dweb"
    since = world.client.raw("GET", path).json["metadata"]["resourceVersion"]
    world.kubectl("set", "env", "deployment/web", "ROUND=2")
    running = set(before)
    born = 0
    for event in watched(world.client, f"{path}&resourceVersion={since}"):
        name = event["object"]["metadata"]["name"]
        if event["type"] == "ADDED":
            assert not running & before
            born += 1
        elif event["type"] == "DELETED" or event["object"]["status"]["phase"] in (
            "Succeeded", "Failed",
        ):  # fmt: skip
            running.discard(name)
        if born == 2:
            break
    world.rolled("deployment/web")
    assert not before & set(world.pods("web"))


@line(DEPLOYMENT, "RollingUpdate")
def test_an_adopted_replicaset_is_rolled_on(world: Watched) -> None:
    body = workload("ReplicaSet", "web", SLEEPER, replicas=1)
    body["metadata"]["annotations"] = {REVISION: "3546343826724305832"}
    world.create(body)
    world.cluster.eventually("it runs", lambda: len(world.pods("web")) == 1)
    changed = {**SLEEPER, "env": [{"name": "ROUND", "value": "2"}]}
    start(world, 1, changed)
    assert sizes(world) == {"3546343826724305832": 0, "3546343826724305833": 1}
    deployment = world.get("deployments", "web")
    assert deployment["metadata"]["annotations"][REVISION] == "3546343826724305833"
    adopted = world.get("replicasets", "web")["metadata"]["ownerReferences"]
    assert [item["name"] for item in adopted] == ["web"]


@line(DEPLOYMENT, "RevisionHistoryLimit")
def test_old_replicasets_are_cleared_away(world: Watched) -> None:
    start(world, 1, revisionHistoryLimit=0)
    world.kubectl("set", "env", "deployment/web", "ROUND=2")
    world.rolled("deployment/web")
    world.cluster.eventually("only one is left", lambda: sizes(world) == {"2": 1})


@line(DEPLOYMENT, "rollover")
def test_an_update_overtakes_another(world: Watched) -> None:
    world.create(workload("ReplicaSet", "web", SLEEPER, replicas=1))
    world.cluster.eventually("it runs", lambda: len(world.pods("web")) == 1)
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    absent = {**SLEEPER, "image": ABSENT}
    world.create(workload("Deployment", "web", absent, replicas=1, strategy=rolling))
    world.cluster.eventually("it is stuck", lambda: sorted(sizes(world).values()) == [1, 1])
    world.kubectl("set", "image", "deployment/web", "c=busybox")
    world.kubectl("set", "env", "deployment/web", "ROUND=3")
    world.rolled("deployment/web")
    found = world.pods("web").values()
    assert [pod["spec"]["containers"][0]["image"] for pod in found] == ["busybox"]
    assert sum(sizes(world).values()) == 1


@line(DEPLOYMENT, "proportional scaling")
def test_scaled_in_the_middle_of_an_update(world: Watched) -> None:
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 2, "maxSurge": 3}}
    start(world, 10, strategy=rolling)
    world.kubectl("set", "image", "deployment/web", f"c={ABSENT}")
    world.cluster.eventually("it is stuck", lambda: sizes(world) == {"1": 8, "2": 5})
    world.kubectl("scale", "deployment/web", "--replicas=30")
    world.cluster.eventually("both have grown", lambda: sizes(world) == {"1": 20, "2": 13})


@line(DEPLOYMENT, "lifecycle")
def test_a_life_of_a_deployment(world: Watched) -> None:
    start(world, 1)
    world.patch("deployments", "web", {"metadata": {"labels": {"patched": "yes"}}})
    world.patch("deployments", "web", {"spec": {"replicas": 2}})
    world.rolled("deployment/web")
    path = f"/apis/apps/v1/namespaces/{world.namespace}/deployments"
    listed = world.client.raw("GET", "/apis/apps/v1/deployments?labelSelector=patched%3Dyes").json
    assert world.namespace in {item["metadata"]["namespace"] for item in listed["items"]}
    body = world.get("deployments", "web")
    body["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "A", "value": "1"}]
    body["metadata"].pop("resourceVersion")
    assert world.client.raw("PUT", f"{path}/web", body).code == 200
    world.rolled("deployment/web")
    told = world.client.raw("GET", f"{path}/web/status").json["status"]
    conditions = {item["type"]: item["status"] for item in told["conditions"]}
    assert conditions == {"Available": "True", "Progressing": "True"}
    assert (told["readyReplicas"], told["updatedReplicas"]) == (2, 2)
    condition = {"type": "StatusUpdate", "status": "True"}
    merge = {"Content-Type": "application/merge-patch+json"}
    none = {"status": {"readyReplicas": 0, "availableReplicas": 0}}
    patched = world.client.raw("PATCH", f"{path}/web/status", none, headers=merge)
    assert patched.code == 200
    world.cluster.eventually(
        "the controller knows better",
        lambda: world.get("deployments", "web")["status"].get("readyReplicas") == 2,
    )
    body = world.get("deployments", "web")
    body["status"]["conditions"].append(condition)
    body["metadata"].pop("resourceVersion")
    assert world.client.raw("PUT", f"{path}/web/status", body).code == 200
    deleted = world.client.raw("DELETE", f"{path}?labelSelector=patched%3Dyes")
    assert deleted.code == 200
    world.cluster.eventually("its pods are gone", lambda: not world.pods("web"))
    assert world.list("replicasets") == []


def serve(world: Watched) -> None:
    """Every pod answers with its own name."""
    world.cluster.eventually(
        "all are ready", lambda: [ready(pod) for pod in world.pods("web").values()] == [True] * 2
    )
    for name, pod in world.pods("web").items():
        answers = world.cluster.ask(f"http://{pod['status']['podIP']}", 1)
        assert list(answers) == [name]


@line(REPLICA_SET, "serve a basic image")
def test_each_replica_serves(world: Watched) -> None:
    world.create(workload("ReplicaSet", "web", SERVER, replicas=2))
    serve(world)


def controller(replicas: int, container: dict[str, Any] = SLEEPER) -> dict[str, Any]:
    """A ReplicationController."""
    return {
        "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas, "selector": {"app": "web"}, "template": template("web", container)
        },
    }  # fmt: skip


@line(RC, "serve a basic image")
def test_each_replica_of_a_controller_serves(world: Watched) -> None:
    body = controller(2, SERVER)
    world.client.core.create_namespaced_replication_controller(world.namespace, body)
    serve(world)


def take_and_give(world: Watched) -> None:
    """The owner ``web`` has taken the pod of its name, and gives it up when it is relabelled."""
    world.cluster.eventually("it is adopted", lambda: owners(world, "web") == ["web"])
    assert list(world.pods("web")) == ["web"]
    world.label("web", app="other")
    world.cluster.eventually("it is released", lambda: owners(world, "web") == [])
    world.cluster.eventually("another is made", lambda: len(world.pods("web")) == 1)


@line(REPLICA_SET, "adopt and release")
def test_a_replicaset_takes_and_gives(world: Watched) -> None:
    world.client.core.create_namespaced_pod(world.namespace, sleeper("web"))
    world.create(workload("ReplicaSet", "web", SLEEPER, replicas=1))
    take_and_give(world)


@line(RC, "adopt matching pods")
@line(RC, "release non-matching pods")
def test_a_controller_takes_and_gives(world: Watched) -> None:
    world.client.core.create_namespaced_pod(world.namespace, sleeper("web"))
    world.client.core.create_namespaced_replication_controller(world.namespace, controller(1))
    take_and_give(world)


@line(REPLICA_SET, "Replace and Patch")
def test_a_replicaset_is_scaled_and_changed(world: Watched) -> None:
    world.create(workload("ReplicaSet", "web", FRAGILE, replicas=1))
    path = f"/apis/apps/v1/namespaces/{world.namespace}/replicasets/web"
    scale = world.client.raw("GET", f"{path}/scale").json
    scale["spec"]["replicas"] = 2
    scale["metadata"].pop("resourceVersion")
    assert world.client.raw("PUT", f"{path}/scale", scale).code == 200
    world.cluster.eventually(
        "two serve", lambda: world.get("replicasets", "web")["status"].get("availableReplicas") == 2
    )
    grown = {"metadata": {"labels": {"patched": "yes"}}, "spec": {"replicas": 3}}
    patched = world.patch("replicasets", "web", grown)
    assert patched["metadata"]["labels"]["patched"] == "yes"
    world.cluster.eventually(
        "three serve",
        lambda: world.get("replicasets", "web")["status"].get("availableReplicas") == 3,
    )


@line(RC, "failure condition on exceeded quota")
def test_a_controller_tells_that_the_quota_is_full(world: Watched) -> None:
    quota = {"metadata": {"name": "two"}, "spec": {"hard": {"pods": "2"}}}
    world.client.core.create_namespaced_resource_quota(world.namespace, quota)
    world.cluster.eventually(
        "the quota counts",
        lambda: (
            world.client.core.read_namespaced_resource_quota("two", world.namespace).status.used
        ),
    )
    world.client.core.create_namespaced_replication_controller(world.namespace, controller(3))

    def failures() -> list[str]:
        found = world.client.core.read_namespaced_replication_controller("web", world.namespace)
        return [item.type for item in found.status.conditions or ()]

    world.cluster.eventually("it says so", lambda: failures() == ["ReplicaFailure"])
    world.kubectl("scale", "rc/web", "--replicas=2")
    world.cluster.eventually("it is content", lambda: failures() == [])
