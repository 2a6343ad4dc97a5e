"""``mesh.v1.Node`` as grpcurl sees it, on a real node."""

import json
import subprocess
from typing import Any

from kit.containerd import pod_of
from kit.whole_node import BIN, WholeNode

SERVICE = "pilothouse.mesh.v1.Node"


def _ask(node: WholeNode, method: str, code: int = 0, **request: object) -> Any:
    socket = node.root / "run" / "kubelet-node-1.sock"
    done = subprocess.run(
        [str(BIN / "grpcurl"), "-plaintext", "-unix", "-d", json.dumps(request), str(socket),
         f"{SERVICE}/{method}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert bool(done.returncode) == bool(code), done.stderr
    return done.stderr if code else json.loads(done.stdout)


def _create(node: WholeNode, name: str, **container: object) -> None:
    body = pod_of("", name=name)
    body["metadata"] = {"name": name, "namespace": "default"}
    body["spec"]["containers"][0] |= container
    node.create(body)


def test_a_pod_is_listed_measured_and_evicted(node: WholeNode) -> None:
    _create(node, "guest")
    node.wait(lambda: node.is_ready("guest"))
    (found,) = [item for item in _ask(node, "ListPods")["pods"] if item["name"] == "guest"]
    assert found["ready"]
    assert found["containers"][0]["state"] == "running"
    assert _ask(node, "ExplainPod", name="guest") == {"phase": "Running", "ready": True}
    for only in (True, False):
        told = _ask(node, "Stats", only_cpu_and_memory=only)
        (used,) = [item for item in told["pods"] if item["name"] == "guest"]
        assert int(used["figures"]["memory_working_set_bytes"]) > 0
        assert ("network_rx_bytes" in used) is not only
        assert int(told["node"]["memory_available_bytes"]) > 0
    assert "Aborted" in _ask(node, "Evict", code=1, name="guest", uid="another")
    assert "InvalidArgument" in _ask(node, "Evict", code=1, name="guest", grace_seconds=-1)
    assert _ask(node, "Evict", name="guest", message="Make room.", grace_seconds=1) == {}
    node.wait(lambda: node.get("pod", "guest")["status"]["phase"] == "Failed")
    status = node.get("pod", "guest")["status"]
    assert (status["reason"], status["message"]) == ("Evicted", "Make room.")
    node.kubectl("delete", "pod", "guest")


def test_a_pod_that_waits_is_explained(node: WholeNode) -> None:
    _create(node, "waiter", image="nowhere/absent:1", imagePullPolicy="Never")

    def is_explained() -> bool:
        told = _ask(node, "ExplainPod", name="waiter")
        return "ErrImageNeverPull" in told.get("summary", "")

    node.wait(is_explained)
    told = _ask(node, "ExplainPod", name="waiter")
    assert told["obstacles"][0]["about"] == "main"
    assert "NotFound" in _ask(node, "ExplainPod", code=1, name="absent")
    node.kubectl("delete", "pod", "waiter", "--grace-period=0", "--force")
