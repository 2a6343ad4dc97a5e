"""A node's kubelet falls silent: its pods run elsewhere, and no StatefulSet's pod runs twice."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kit.cluster import TOP, Cluster

GRACE_SECONDS = 20
"""Twice what a kubelet waits before it renews its Lease; by default it is two and a half times
as long."""
PATIENCE = [
    {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": "NoExecute",
     "tolerationSeconds": 1}
    for key in ("unreachable", "not-ready")
]  # fmt: skip
LOST = "node-2"


@pytest.fixture
def impatience(cluster: Cluster, tmp_path: Path) -> Iterator[None]:
    """The two controllers that decide, once more, with less patience than the cluster's own."""
    command = [
        TOP / ".venv/bin/pilothouse", "controllers", "--leader-elect=false", "--secure-port=0",
        f"--server=unix://{cluster.run_directory}/apiserver.sock", f"--run-dir={tmp_path}",
        "--controllers=nodelifecycle,taint-eviction",
        f"--node-monitor-grace-period={GRACE_SECONDS}s",
    ]  # fmt: skip
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        yield
        process.terminate()
        process.wait(30)


@pytest.fixture
def silence(cluster: Cluster) -> Iterator[int]:
    """The kubelet that shall fall silent; it goes on at the end, whatever became of the test."""
    pid = cluster.processes()[f"kubelet-{LOST}"]
    yield pid
    os.kill(pid, signal.SIGCONT)
    cluster.eventually("the node is ready", lambda: is_ready(cluster.try_get("node", LOST)))
    cluster.kubectl("delete", "statefulset/lost-db", "deployment/lost-web")


def is_ready(found: Any) -> bool:
    told = found["status"].get("conditions", []) if found else []
    return any((item["type"], item["status"]) == ("Ready", "True") for item in told)


def is_going(pod: Any) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def where(cluster: Cluster, app: str, *, going: bool = False) -> list[str]:
    """The nodes of its pods that run, or of those that are asked to go."""
    items = (cluster.try_get("pods", "-l", f"app={app}") or {"items": []})["items"]
    return [
        pod["spec"]["nodeName"] for pod in items
        if (is_going(pod) if going else is_ready(pod) and not is_going(pod))
    ]  # fmt: skip


def create(cluster: Cluster, kind: str, app: str) -> None:
    """One pod, which leaves a lost node at once; the other node is closed when it is made."""
    example = cluster.get("deployment", "ngx-deployment")["spec"]["template"]["spec"]["containers"]
    container = {"name": "main", "image": example[0]["image"]}
    labels = {"app": app}
    pod = {"terminationGracePeriodSeconds": 1, "tolerations": PATIENCE, "containers": [container]}
    spec = {"replicas": 1, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod}}  # fmt: skip
    more = {"serviceName": app} if kind == "StatefulSet" else {}
    metadata = {"name": app}
    cluster.create(apiVersion="apps/v1", kind=kind, metadata=metadata, spec=spec | more)


def test_pods_leave_a_node_whose_kubelet_is_silent_and_none_runs_twice(
    example: Cluster, impatience: None, silence: int
) -> None:
    cluster = example
    cluster.kubectl("cordon", "node-1")
    create(cluster, "Deployment", "lost-web")
    create(cluster, "StatefulSet", "lost-db")
    for app in ("lost-web", "lost-db"):
        cluster.eventually(f"{app} runs", lambda app=app: where(cluster, app) == [LOST])
    cluster.kubectl("uncordon", "node-1")
    uid = cluster.get("pod", "lost-db-0")["metadata"]["uid"]
    os.kill(silence, signal.SIGSTOP)
    cluster.eventually(
        "the Deployment's runs elsewhere",
        lambda: where(cluster, "lost-web") == ["node-1"],
        seconds=GRACE_SECONDS + 100,
    )
    told = cluster.get("node", LOST)
    [ready] = [item for item in told["status"]["conditions"] if item["type"] == "Ready"]
    assert (ready["status"], ready["reason"]) == ("Unknown", "NodeStatusUnknown")
    taints = {(item["key"], item["effect"]) for item in told["spec"]["taints"]}
    key = "node.kubernetes.io/unreachable"
    assert taints == {(key, "NoSchedule"), (key, "NoExecute")}
    cluster.eventually(
        "the StatefulSet's is asked to go",
        lambda: where(cluster, "lost-db", going=True) == [LOST],
    )
    assert where(cluster, "lost-db") == []
    assert cluster.get("pod", "lost-db-0")["metadata"]["uid"] == uid
    os.kill(silence, signal.SIGCONT)
    cluster.eventually("the StatefulSet's runs again", lambda: len(where(cluster, "lost-db")) == 1)
    assert cluster.get("pod", "lost-db-0")["metadata"]["uid"] != uid
    cluster.eventually("none is left", lambda: not where(cluster, "lost-web", going=True))
    cluster.eventually(
        "the node is open", lambda: "taints" not in cluster.get("node", LOST)["spec"]
    )
