"""Pods, containers and services that die, and a cluster that becomes whole again."""

import json
import subprocess
from typing import Any

import pytest
from kit.cluster import Cluster

WHOLE_SECONDS = 30


def components(cluster: Cluster) -> dict[str, bool]:
    """Which components componentstatuses calls healthy; empty while the API does not answer."""
    listing = cluster.try_get("componentstatuses")
    if listing is None:
        return {}
    return {
        item["metadata"]["name"]: any(
            c["type"] == "Healthy" and c["status"] == "True" for c in item["conditions"]
        )
        for item in listing["items"]
    }


def is_whole(cluster: Cluster) -> bool:
    """Every component healthy, every node ready, the example at full strength."""
    health = components(cluster)
    nodes = cluster.try_get("nodes")
    return (
        {"scheduler", "controller-manager", "etcd-0"} <= set(health)
        and all(health.values())
        and nodes is not None
        and all(
            any(c["type"] == "Ready" and c["status"] == "True" for c in n["status"]["conditions"])
            for n in nodes["items"]
        )
        and cluster.deployment_is("ngx-deployment", 2)
    )


def containers(cluster: Cluster) -> set[str]:
    pods = cluster.get("pods", "-A")["items"]
    return {
        status["containerID"]
        for pod in pods
        for status in pod["status"].get("containerStatuses", [])
        if "running" in status["state"]
    }


def answers(url: str) -> bool:
    return subprocess.run(["curl", "-sf", "-o", "/dev/null", url], check=False).returncode == 0


def statuses(pod: dict[str, Any] | None) -> list[dict[str, Any]]:
    """What its kubelet says of its containers; nothing before it has seen the pod."""
    return pod["status"].get("containerStatuses", []) if pod else []


def restarts(pod: dict[str, Any] | None) -> int:
    return sum(status["restartCount"] for status in statuses(pod)) if pod else -1


def is_running(pod: dict[str, Any] | None) -> bool:
    return bool(statuses(pod)) and all(status["ready"] for status in statuses(pod))


def kill_inside(cluster: Cluster, pod: str) -> None:
    cluster.try_kubectl("exec", pod, "--", "sh", "-c", "kill -9 $(pidof nginx)")


def test_components_are_healthy(example: Cluster) -> None:
    example.eventually("all healthy", lambda: is_whole(example), seconds=WHOLE_SECONDS)
    said = example.kubectl("get", "componentstatuses")
    for name in ("scheduler", "controller-manager", "etcd-0"):
        row = next(line for line in said.splitlines() if line.startswith(name))
        assert "Healthy" in row
        assert "Unhealthy" not in row


@pytest.mark.parametrize(
    ("process", "component"),
    [("scheduler", "scheduler"), ("controllers", "controller-manager")],
)
def test_the_killed_component_is_shown_unhealthy(
    example: Cluster, process: str, component: str
) -> None:
    example.kill(process)
    example.eventually(
        f"{component} Unhealthy", lambda: components(example).get(component) is False, every=0
    )
    example.eventually("healthy again", lambda: is_whole(example), seconds=WHOLE_SECONDS)


def test_a_deleted_pod_is_replaced(example: Cluster) -> None:
    gone = example.pods("app=nginx")[0]["metadata"]
    example.kubectl("delete", "pod", gone["name"])
    example.eventually("2/2", lambda: example.deployment_is("ngx-deployment", 2))
    assert gone["uid"] not in {pod["metadata"]["uid"] for pod in example.pods("app=nginx")}


def test_a_killed_process_is_restarted_in_its_pod(example: Cluster) -> None:
    name = example.pods("app=nginx")[0]["metadata"]["name"]
    before = restarts(example.get("pod", name))
    kill_inside(example, name)

    def restarted() -> bool:
        pod = example.try_get("pod", name)
        return restarts(pod) == before + 1 and is_running(pod)

    example.eventually("restartCount is one more", restarted)


def test_a_replication_controllers_pod_is_restarted_and_replaced(cluster: Cluster) -> None:
    controller = {
        "apiVersion": "v1",
        "kind": "ReplicationController",
        "metadata": {"name": "rc"},
        "spec": {
            "replicas": 1,
            "selector": {"app": "rc"},
            "template": {
                "metadata": {"labels": {"app": "rc"}},
                "spec": {"containers": [{"name": "nginx", "image": "nginx:1.29"}]},
            },
        },
    }
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(controller))

    def one_runs() -> str:
        pods = cluster.pods("app=rc")
        return pods[0]["metadata"]["name"] if len(pods) == 1 and is_running(pods[0]) else ""

    name = cluster.eventually("one pod runs", one_runs)
    kill_inside(cluster, name)

    def restarted() -> bool:
        pod = cluster.try_get("pod", name)
        return restarts(pod) == 1 and is_running(pod)

    cluster.eventually("restarted in place", restarted)
    cluster.kubectl("delete", "pod", name)
    cluster.eventually("another pod runs", lambda: one_runs() not in ("", name))
    cluster.kubectl("delete", "rc", "rc")
    cluster.eventually(
        "its pods are gone", lambda: not cluster.get("pods", "-l", "app=rc")["items"]
    )


@pytest.mark.parametrize(
    "process",
    [
        "apiserver",
        "controllers",
        "scheduler",
        "kubelet-node-1",
        "kubelet-node-2",
        "proxy-node-1",
        "proxy-node-2",
        "publish",
        "routes",
        "registry",
        "containerd-node-1",
        "guardian",
        "supervisor",
    ],
)
def test_any_service_may_be_killed(example: Cluster, process: str) -> None:
    """No container stops, nothing written is lost, the cluster becomes whole."""
    example.eventually("whole before", lambda: is_whole(example), seconds=WHOLE_SECONDS)
    running = containers(example)
    marker = f"before-{process}"
    example.create_configmap(marker, a="b")
    port = example.get("service", "ngx-service")["spec"]["ports"][0]["nodePort"]
    killed = example.kill(process)
    example.eventually(
        "another one runs",
        lambda: example.processes().get(process, killed) != killed,
        seconds=WHOLE_SECONDS,
    )
    example.eventually("whole again", lambda: is_whole(example), seconds=WHOLE_SECONDS)
    assert running <= containers(example)
    assert example.get("configmap", marker)["data"] == {"a": "b"}
    example.kubectl("delete", "configmap", marker)
    example.eventually(
        "the node port answers",
        lambda: example.on_node(1, "curl", "-sf", f"http://10.90.0.12:{port}/").returncode == 0,
    )
    published = f"http://{example.publish_address}:{port}/"
    example.eventually("the host's too", lambda: answers(published))
    example.ask(published, 10, node=None)
