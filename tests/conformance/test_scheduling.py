"""Which node a pod gets, and why it gets none."""

from typing import Any

import pytest
from kit.cluster import Cluster
from kit.manifests import sleeper
from kit.official import Official
from kit.syllabus import line
from kubernetes.client.exceptions import ApiException

PREDICATES, CLASSES = "scheduling/predicates.go", "common/node/runtimeclass.go"


def _waits(cluster: Cluster, namespace: str, name: str, reason: str) -> None:
    """Nobody takes it, and an event says why."""
    selector = f"involvedObject.name={name},reason=FailedScheduling"

    def told() -> bool:
        events = cluster.get("-n", namespace, "events", "--field-selector", selector)["items"]
        return any(reason in event.get("message", event.get("note", "")) for event in events)

    cluster.eventually(f"{name} waits for want of {reason}", told)
    assert "nodeName" not in cluster.get("-n", namespace, "pod", name)["spec"]


def _runs(cluster: Cluster, namespace: str, name: str) -> str:
    """The node where it runs."""
    cluster.kubectl(
        "-n", namespace, "wait", f"pod/{name}", "--for=condition=Ready", "--timeout=60s"
    )
    return str(cluster.get("-n", namespace, "pod", name)["spec"]["nodeName"])


def _asking(name: str, cpu: str) -> dict[str, Any]:
    pod = sleeper(name)
    pod["spec"]["containers"][0]["resources"] = {"requests": {"cpu": cpu}}
    return pod


@line(PREDICATES, "resource limits")
def test_who_asks_for_more_than_there_is_waits(
    cluster: Cluster, client: Official, namespace: str
) -> None:
    for node in (1, 2):
        free = cluster.get("node", f"node-{node}")["status"]["allocatable"]["cpu"]
        taken = f"{int(free) * 600}m"
        pod = _asking(f"fits-{node}", taken)
        pod["spec"]["nodeSelector"] = {"kubernetes.io/hostname": f"node-{node}"}
        client.core.create_namespaced_pod(namespace, pod)
        assert _runs(cluster, namespace, f"fits-{node}") == f"node-{node}"
    client.core.create_namespaced_pod(namespace, _asking("too-much", taken))
    _waits(cluster, namespace, "too-much", "Insufficient cpu")
    client.core.delete_namespaced_pod("fits-2", namespace)
    assert _runs(cluster, namespace, "too-much") == "node-2"


@line(PREDICATES, "nodeSelector matching")
@line(PREDICATES, "nodeSelector not matching")
def test_a_selector_finds_its_node_or_none(
    cluster: Cluster, client: Official, namespace: str
) -> None:
    selecting = {"nodeSelector": {"conformance/colour": namespace}}
    client.core.create_namespaced_pod(namespace, sleeper("red", **selecting))
    _waits(cluster, namespace, "red", "didn't match Pod's node affinity/selector")
    cluster.kubectl("label", "node", "node-2", f"conformance/colour={namespace}")
    try:
        assert _runs(cluster, namespace, "red") == "node-2"
    finally:
        cluster.kubectl("label", "node", "node-2", "conformance/colour-")


def _on_port(name: str, address: str) -> dict[str, Any]:
    pod = sleeper(name, nodeSelector={"kubernetes.io/hostname": "node-1"})
    port = {"containerPort": 80, "hostPort": 54322, "hostIP": address, "protocol": "TCP"}
    pod["spec"]["containers"][0]["ports"] = [port]
    return pod


@line(PREDICATES, "hostPort conflict with 0.0.0.0")
def test_every_address_and_one_of_them_are_in_each_others_way(
    cluster: Cluster, client: Official, namespace: str
) -> None:
    client.core.create_namespaced_pod(namespace, _on_port("everywhere", "0.0.0.0"))
    assert _runs(cluster, namespace, "everywhere") == "node-1"
    client.core.create_namespaced_pod(namespace, _on_port("somewhere", "10.90.0.11"))
    _waits(cluster, namespace, "somewhere", "didn't have free ports")


@pytest.fixture
def classes(client: Official, namespace: str) -> Any:
    """Make a RuntimeClass of the node's own runtime; deleted afterwards."""
    group, names = client.group("NodeV1Api"), []

    def make(**fields: Any) -> str:
        names.append(f"{namespace}-{len(names)}")
        group.create_runtime_class({"metadata": {"name": names[-1]}, "handler": "runc", **fields})
        return names[-1]

    yield make
    there = {one.metadata.name for one in group.list_runtime_class().items}
    for name in there.intersection(names):
        group.delete_runtime_class(name)


@line(CLASSES, "no overhead")
def test_a_class_without_overhead(
    cluster: Cluster, client: Official, namespace: str, classes: Any
) -> None:
    pod = sleeper("light", runtimeClassName=classes())
    made = client.core.create_namespaced_pod(namespace, pod)
    assert made.spec.overhead is None
    assert _runs(cluster, namespace, "light")


@line(CLASSES, "overhead")
def test_a_class_with_overhead(
    cluster: Cluster, client: Official, namespace: str, classes: Any
) -> None:
    overhead = {"cpu": "10m", "memory": "1Mi"}
    name = classes(overhead={"podFixed": overhead})
    pod = sleeper("heavy", runtimeClassName=name)
    made = client.core.create_namespaced_pod(namespace, pod)
    assert made.spec.overhead == overhead
    assert _runs(cluster, namespace, "heavy")


@line(CLASSES, "deleted RuntimeClass")
def test_a_class_that_is_gone(client: Official, namespace: str, classes: Any) -> None:
    name = classes()
    client.group("NodeV1Api").delete_runtime_class(name)
    with pytest.raises(ApiException) as refused:
        client.core.create_namespaced_pod(namespace, sleeper("p", runtimeClassName=name))
    assert refused.value.status == 403
