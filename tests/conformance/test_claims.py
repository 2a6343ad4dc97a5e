"""Claims, the volumes that they get, and pods that use them."""

from pathlib import Path
from typing import Any

import pytest
from kit.cluster import Cluster
from kit.official import Official
from kit.workloads import SLEEPER, Watched, ready, template, workload


class World(Watched):
    """With a ``place`` on the machine that the nodes are parts of."""

    place: Path


@pytest.fixture
def world(cluster: Cluster, client: Official, namespace: str, tmp_path: Path) -> World:
    world = World(cluster, client, namespace)
    world.place = tmp_path
    return world


def make(world: World, version: str, kind: str, name: str, **parts: Any) -> None:
    metadata = {"name": name, "namespace": world.namespace}
    world.cluster.create(apiVersion=version, kind=kind, metadata=metadata, **parts)


def make_pod(world: World, name: str, source: dict[str, Any], **spec: Any) -> None:
    """One that writes its name into the volume of this source."""
    pod = template(name, writer(name), volumes=[{"name": "data", **source}], **spec)
    make(world, "v1", "Pod", name, spec=pod["spec"])


def volume(world: World, number: int, **spec: Any) -> str:
    name = f"{world.namespace}-{number}"
    told = {
        "capacity": {"storage": f"{number + 1}Gi"},
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": world.namespace,
        "hostPath": {"path": str(world.place / name), "type": "DirectoryOrCreate"},
        **spec,
    }
    metadata = {"name": name}
    world.cluster.create(apiVersion="v1", kind="PersistentVolume", metadata=metadata, spec=told)
    return name


def claim(world: World, **spec: Any) -> dict[str, Any]:
    return {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        "storageClassName": world.namespace,
        **spec,
    }


def phase(world: World, kind: str, name: str) -> str:
    return world.kubectl("get", kind, name, "-o", "jsonpath={.status.phase}")


def writer(text: str) -> dict[str, Any]:
    command = ["sh", "-c", f"echo {text} >> /data/log; sleep 3600"]
    return {**SLEEPER, "command": command, "volumeMounts": [{"name": "data", "mountPath": "/data"}]}


def test_a_stateful_set_keeps_its_volumes_and_gives_them_back(world: World) -> None:
    names = [volume(world, number) for number in range(2)]
    templates = [{"metadata": {"name": "data"}, "spec": claim(world)}]
    policy = {"whenScaled": "Delete", "whenDeleted": "Delete"}
    world.create(
        workload("StatefulSet", "ss", writer("$(hostname)"), replicas=2,
                 volumeClaimTemplates=templates, persistentVolumeClaimRetentionPolicy=policy)
    )  # fmt: skip
    both = lambda: sum(map(ready, world.pods("ss").values())) == 2  # noqa: E731 - asked twice
    world.cluster.eventually("both serve", both)
    assert {phase(world, "pv", name) for name in names} == {"Bound"}
    assert "ss-0" in (world.place / names[0] / "log").read_text()
    world.kubectl("delete", "pod", "ss-0", "--wait=true")
    world.cluster.eventually("both serve again", both)
    log = world.place / names[0] / "log"
    world.cluster.eventually("it wrote again", lambda: log.read_text().split() == ["ss-0"] * 2)
    world.kubectl("scale", "statefulset/ss", "--replicas=1")
    world.cluster.eventually(
        "the second's is given back", lambda: phase(world, "pv", names[1]) == "Released"
    )
    world.kubectl("delete", "statefulset/ss")
    world.cluster.eventually("the first's too", lambda: phase(world, "pv", names[0]) == "Released")
    # What is released keeps what was written, and is nobody's.
    assert log.exists()
    world.kubectl("delete", "pv", *names)


def test_a_pod_of_its_own_claim_and_one_whose_claim_is_not_there(world: World) -> None:
    name = volume(world, 0)
    make_pod(world, "own", {"ephemeral": {"volumeClaimTemplate": {"spec": claim(world)}}})
    world.kubectl("wait", "pod/own", "--for=condition=Ready", "--timeout=60s")
    owners = "jsonpath={.metadata.ownerReferences[0].kind}"
    assert world.kubectl("get", "pvc", "own-data", "-o", owners) == "Pod"
    world.kubectl("delete", "pod", "own")
    world.cluster.eventually("it is given back", lambda: phase(world, "pv", name) == "Released")
    world.kubectl("delete", "pv", name)
    make_pod(world, "late", {"persistentVolumeClaim": {"claimName": "none"}})
    said = "jsonpath={.status.conditions[0].message}"
    told = 'persistentvolumeclaim "none" not found'
    world.cluster.eventually(
        "it says why it waits", lambda: told in world.kubectl("get", "pod", "late", "-o", said)
    )


def test_a_local_volume_is_chosen_with_the_node_of_its_first_pod(world: World) -> None:
    world.cluster.create(
        apiVersion="storage.k8s.io/v1",
        kind="StorageClass",
        metadata={"name": world.namespace},
        provisioner="kubernetes.io/no-provisioner",
        volumeBindingMode="WaitForFirstConsumer",
    )
    nodes = world.kubectl("get", "nodes", "-o", "jsonpath={.items[*].metadata.name}").split()
    path = world.place / f"{world.namespace}-0"
    path.mkdir(parents=True)
    there = {"key": "kubernetes.io/hostname", "operator": "In", "values": [nodes[-1]]}
    affinity = {"required": {"nodeSelectorTerms": [{"matchExpressions": [there]}]}}
    local = {"hostPath": None, "local": {"path": str(path)}, "nodeAffinity": affinity}
    name = volume(world, 0, **local)
    make(world, "v1", "PersistentVolumeClaim", "data", spec=claim(world))
    world.cluster.eventually(
        "it waits for a pod", lambda: "WaitForFirstConsumer" in world.kubectl("get", "events")
    )
    source = {"persistentVolumeClaim": {"claimName": "data"}}
    make_pod(world, "p", source, securityContext={"fsGroup": 2000})
    world.kubectl("wait", "pod/p", "--for=condition=Ready", "--timeout=60s")
    node = world.kubectl("get", "pod", "p", "-o", "jsonpath={.spec.nodeName}")
    assert node == nodes[-1]
    assert (path / "log").stat().st_gid == 2000
    world.kubectl("delete", "pod", "p")
    world.kubectl("delete", "pvc", "data")
    world.kubectl("delete", "pv", name)
    world.kubectl("delete", "storageclass", world.namespace)
