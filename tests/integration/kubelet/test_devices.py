"""Devices from a plugin's registration to a container, and back."""

import contextlib
import json
import signal
import subprocess
from collections.abc import Iterator

import grpc
import pytest
from kit.containerd import pod_of
from kit.whole_node import TOP, WholeNode

from pilothouse.protos.podresources.v1 import api_pb2 as pb
from pilothouse.protos.podresources.v1.api_pb2_grpc import PodResourcesListerStub

RESOURCE = "example.com/widget"
PYTHON = TOP / ".venv" / "bin" / "python"


def _pod(name: str, number: int) -> dict:
    body = pod_of("", name=name, terminationGracePeriodSeconds=1)
    body["metadata"] = {"name": name, "namespace": "default"}
    body["spec"]["containers"][0]["resources"] = {"limits": {RESOURCE: str(number)}}
    return body


@contextlib.contextmanager
def _plugin(node: WholeNode) -> Iterator[subprocess.Popen]:
    directory = node.root / "kubelet" / "device-plugins"
    process = subprocess.Popen(
        [PYTHON, TOP / "examples" / "device_plugin.py", "--directory", directory, "--devices", "2"]
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def _amounts(node: WholeNode) -> tuple[str, str]:
    status = node.get("node", "node-1")["status"]
    return status["capacity"].get(RESOURCE, ""), status["allocatable"].get(RESOURCE, "")


def _status(node: WholeNode, name: str) -> dict:
    return node.get("pod", name).get("status", {})


@pytest.fixture
def plugin(node: WholeNode) -> Iterator[subprocess.Popen]:
    with _plugin(node) as process:
        node.wait(lambda: _amounts(node) == ("2", "2"))
        yield process


def _lister(node: WholeNode) -> PodResourcesListerStub:
    channel = grpc.insecure_channel(f"unix://{node.root}/kubelet/pod-resources/kubelet.sock")
    return PodResourcesListerStub(channel)


def test_devices_are_given_told_and_taken_back(node: WholeNode, plugin: subprocess.Popen) -> None:
    node.create(_pod("widgets", 1))
    node.wait(lambda: node.is_ready("widgets"))
    script = "echo $WIDGETS; ls /var/lib/widgets; test -c /dev/widget && echo device"
    seen = node.kubectl("exec", "widgets", "--", "sh", "-c", script).stdout.split()
    assert seen == ["widget-1", "started", "device"]
    found = _lister(node).Get(
        pb.GetPodResourcesRequest(pod_name="widgets", pod_namespace="default")
    )
    (container,) = found.pod_resources.containers
    (devices,) = container.devices
    assert (devices.resource_name, list(devices.device_ids)) == (RESOURCE, ["widget-1"])
    listed = _lister(node).GetAllocatableResources(pb.AllocatableResourcesRequest())
    assert [list(item.device_ids) for item in listed.devices] == [["widget-0", "widget-1"]]

    node.create(_pod("greedy", 2) | {"spec": {**_pod("greedy", 2)["spec"], "nodeName": "node-1"}})
    node.wait(lambda: _status(node, "greedy").get("phase") == "Failed")
    status = _status(node, "greedy")
    assert status["reason"] == "UnexpectedAdmissionError"
    assert "Requested: 2, Available: 1" in status["message"]

    node.kubectl("delete", "pod", "widgets", "greedy")
    node.create(_pod("after", 2))
    node.wait(lambda: node.is_ready("after"))
    node.kubectl("delete", "pod", "after")


def test_health_is_told_and_a_restart_forgets_nothing(
    node: WholeNode, plugin: subprocess.Popen
) -> None:
    node.create(_pod("held", 2))
    node.wait(lambda: node.is_ready("held"))
    plugin.send_signal(signal.SIGUSR1)
    node.wait(lambda: _amounts(node) == ("2", "1"))

    def health() -> dict[str, str]:
        (container,) = _status(node, "held")["containerStatuses"]
        (told,) = container.get("allocatedResourcesStatus") or [{"resources": []}]
        return {item["resourceID"]: item["health"] for item in told["resources"]}

    node.wait(lambda: health() == {"widget-0": "Unhealthy", "widget-1": "Healthy"})
    plugin.send_signal(signal.SIGUSR2)
    node.wait(lambda: _amounts(node) == ("2", "2"))
    node.kill("kubelet")
    kept = json.loads(
        (node.root / "kubelet" / "device-plugins" / "kubelet_internal_checkpoint").read_text()
    )
    assert [entry["ResourceName"] for entry in kept["Data"]["PodDeviceEntries"]] == [RESOURCE]
    node.start_kubelet()
    node.wait(lambda: _amounts(node) == ("2", "2"))
    node.create(_pod("too-late", 1) | {"spec": {**_pod("x", 1)["spec"], "nodeName": "node-1"}})
    node.wait(lambda: _status(node, "too-late").get("phase") == "Failed")
    node.kubectl("delete", "pod", "held", "too-late")
    node.wait(lambda: not node.get("pod", "held"))
