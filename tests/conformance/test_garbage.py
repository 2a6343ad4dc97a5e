"""What goes when its owner goes, and what stays."""

import time
from typing import Any

from kit.cluster import Cluster
from kit.lifecycle import eventually
from kit.manifests import sleeper
from kit.official import Official
from kit.syllabus import line

GARBAGE = "apimachinery/garbage_collector.go"
UNSCHEDULED = {"nodeSelector": {"no": "such"}}
STAYS_SECONDS = 5.0


def template(app: str) -> dict[str, Any]:
    spec = {"containers": [{"name": "c", "image": "busybox"}], **UNSCHEDULED}
    return {"metadata": {"labels": {"app": app}}, "spec": spec}


def make_rc(client: Official, namespace: str, name: str, replicas: int) -> Any:
    spec = {"replicas": replicas, "selector": {"app": name}, "template": template(name)}
    rc = client.core.create_namespaced_replication_controller(
        namespace, {"metadata": {"name": name}, "spec": spec}
    )
    eventually(f"{replicas} pods", lambda: len(pods(client, namespace)) == replicas)
    return rc


def make_deployment(client: Official, namespace: str) -> Any:
    spec = {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "d"}},
        "template": template("d"),
    }
    made = client.apps.create_namespaced_deployment(
        namespace, {"metadata": {"name": "d"}, "spec": spec}
    )
    eventually("a replica set", lambda: sets(client, namespace))
    eventually("a pod", lambda: pods(client, namespace))
    return made


def pods(client: Official, namespace: str) -> list[Any]:
    return client.core.list_namespaced_pod(namespace).items


def sets(client: Official, namespace: str) -> list[Any]:
    return client.apps.list_namespaced_replica_set(namespace).items


@line(GARBAGE, "delete RS of deployment (Background)")
def test_in_the_background_all_goes(client: Official, namespace: str) -> None:
    make_deployment(client, namespace)
    client.apps.delete_namespaced_deployment("d", namespace, propagation_policy="Background")
    eventually("no replica set", lambda: not sets(client, namespace))
    eventually("no pods", lambda: not pods(client, namespace))


@line(GARBAGE, "delete pods of rc (Background)")
def test_the_pods_of_an_rc_go(client: Official, namespace: str) -> None:
    make_rc(client, namespace, "r", 2)
    client.core.delete_namespaced_replication_controller(
        "r", namespace, propagation_policy="Background"
    )
    eventually("no pods", lambda: not pods(client, namespace))


@line(GARBAGE, "keep rc until pods gone (Foreground)")
def test_in_the_foreground_the_owner_goes_last(client: Official, namespace: str) -> None:
    make_rc(client, namespace, "r", 10)
    held = pods(client, namespace)[0].metadata.name
    finalizer = {"metadata": {"finalizers": ["example.com/held"]}}
    client.core.patch_namespaced_pod(held, namespace, finalizer)
    client.core.delete_namespaced_replication_controller(
        "r", namespace, propagation_policy="Foreground"
    )
    eventually("one pod is left", lambda: len(pods(client, namespace)) == 1)
    rc = client.core.read_namespaced_replication_controller("r", namespace)
    assert "foregroundDeletion" in rc.metadata.finalizers
    client.core.patch_namespaced_pod(held, namespace, {"metadata": {"finalizers": None}})
    path = f"/api/v1/namespaces/{namespace}/replicationcontrollers/r"
    eventually("the owner is gone", lambda: client.raw("GET", path).code == 404)


def stays(client: Official, namespace: str, count: int) -> None:
    """For a while nothing goes: the collector has had every occasion."""
    until = time.monotonic() + STAYS_SECONDS
    while time.monotonic() < until:
        assert len(pods(client, namespace)) == count
        time.sleep(0.5)


@line(GARBAGE, "orphan pods of rc (Orphan)")
def test_orphaned_pods_stay(client: Official, namespace: str) -> None:
    make_rc(client, namespace, "r", 20)
    client.core.delete_namespaced_replication_controller(
        "r", namespace, propagation_policy="Orphan"
    )
    path = f"/api/v1/namespaces/{namespace}/replicationcontrollers/r"
    eventually("the owner is gone", lambda: client.raw("GET", path).code == 404)
    stays(client, namespace, 20)
    assert all(not pod.metadata.owner_references for pod in pods(client, namespace))


@line(GARBAGE, "orphan RS (Orphan)")
def test_an_orphaned_replica_set_stays(client: Official, namespace: str) -> None:
    make_deployment(client, namespace)
    client.apps.delete_namespaced_deployment("d", namespace, propagation_policy="Orphan")
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/d"
    eventually("the owner is gone", lambda: client.raw("GET", path).code == 404)
    stays(client, namespace, 1)
    (left,) = sets(client, namespace)
    assert not left.metadata.owner_references


@line(GARBAGE, "dependents with another valid owner stay")
def test_who_has_another_owner_stays(client: Official, namespace: str) -> None:
    make_rc(client, namespace, "goes", 6)
    spec = {"replicas": 0, "selector": {"app": "stays"}, "template": template("stays")}
    owner = client.core.create_namespaced_replication_controller(
        namespace, {"metadata": {"name": "stays"}, "spec": spec}
    )
    second = {
        "apiVersion": "v1",
        "kind": "ReplicationController",
        "name": "stays",
        "uid": owner.metadata.uid,
    }
    shared = [pod.metadata.name for pod in pods(client, namespace)][:3]
    for name in shared:
        patch = [{"op": "add", "path": "/metadata/ownerReferences/-", "value": second}]
        client.core.patch_namespaced_pod(name, namespace, patch)
    client.core.delete_namespaced_replication_controller(
        "goes", namespace, propagation_policy="Foreground"
    )
    path = f"/api/v1/namespaces/{namespace}/replicationcontrollers/goes"
    eventually("the first owner is gone", lambda: client.raw("GET", path).code == 404)
    left = pods(client, namespace)
    assert sorted(pod.metadata.name for pod in left) == sorted(shared)
    for pod in left:
        assert [one.name for one in pod.metadata.owner_references] == ["stays"]


@line(GARBAGE, "dependency circle does not block GC")
def test_a_circle_goes_as_a_whole(client: Official, namespace: str, cluster: Cluster) -> None:
    names = ("one", "two", "three")
    made = [
        client.core.create_namespaced_pod(namespace, sleeper(name, **UNSCHEDULED)) for name in names
    ]
    for pod, owner in zip(made, (*made[1:], made[0]), strict=True):
        reference = {
            "apiVersion": "v1",
            "kind": "Pod",
            "name": owner.metadata.name,
            "uid": owner.metadata.uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }
        patch = {"metadata": {"ownerReferences": [reference]}}
        client.core.patch_namespaced_pod(pod.metadata.name, namespace, patch)
    client.core.delete_namespaced_pod("one", namespace, propagation_policy="Foreground")
    eventually("all three are gone", lambda: not pods(client, namespace))
