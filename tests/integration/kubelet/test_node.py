"""One node with a real API server: kubectl sees what the kubelet does."""

import json
import signal
import subprocess
import time
from pathlib import Path

import yaml
from kit.containerd import pod_of
from kit.whole_node import BIN, WholeNode

METHOD = "pilothouse.mesh.v1.Node/ListPods"


def _pod(name: str, **spec: object) -> dict:
    body = pod_of("", name=name, **spec)
    body["metadata"] = {"name": name, "namespace": "default", "labels": {"app": name}}
    return body


def _status(node: WholeNode, name: str) -> dict:
    found = node.get("pod", name).get("status", {})
    return (found.get("containerStatuses") or [{}])[0]


def _main_pid(node: WholeNode, name: str) -> int:
    id_ = _status(node, name)["containerID"].removeprefix("containerd://")
    lines = node.containerd.ctr("tasks", "list").stdout.splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(id_))


def test_node_is_registered_and_leased(node: WholeNode) -> None:
    found = node.get("node", "node-1")
    assert found["metadata"]["labels"]["kubernetes.io/hostname"] == "node-1"
    assert found["status"]["nodeInfo"]["containerRuntimeVersion"].startswith("containerd://")
    assert found["status"]["allocatable"]["pods"] == "110"
    lease = node.get("lease", "node-1", "-n", "kube-node-lease")
    assert lease["spec"]["leaseDurationSeconds"] == 40


def test_a_pod_is_run_described_entered_and_deleted(node: WholeNode) -> None:
    node.create(_pod("web"))
    node.wait(lambda: node.is_ready("web"))
    described = node.kubectl("describe", "pod", "web").stdout
    for text in (
        'Container image "busybox" already present on machine',
        "Container created",
        "Container started",
    ):
        node.wait(lambda text=text: text in node.kubectl("describe", "pod", "web").stdout)
    assert "10.244.77." in described
    script = "cat; ls /var/run/secrets/kubernetes.io/serviceaccount; echo $KUBERNETES_SERVICE_HOST"
    answer = node.kubectl("exec", "-i", "web", "--", "sh", "-c", script, text="to stdin\n")
    assert answer.stdout.split() == [
        "to", "stdin", "ca.crt", "namespace", "token", "10.96.0.1",
    ]  # fmt: skip
    failed = node.kubectl("exec", "web", "--", "sh", "-c", "exit 5", check=False)
    assert failed.returncode == 5
    node.kubectl("delete", "pod", "web")
    assert not node.get("pod", "web")


def test_logs_follow_to_the_end(node: WholeNode) -> None:
    body = _pod("talker", restartPolicy="Never")
    body["spec"]["containers"][0]["command"] = [
        "sh",
        "-c",
        "for i in 1 2 3; do echo $i; sleep 1; done",
    ]
    node.create(body)
    node.wait(lambda: _status(node, "talker").get("state", {}).get("running"))
    assert node.kubectl("logs", "-f", "talker").stdout == "1\n2\n3\n"
    node.wait(lambda: node.get("pod", "talker")["status"]["phase"] == "Succeeded")
    assert node.kubectl("logs", "talker", "--tail=1").stdout == "3\n"
    node.kubectl("delete", "pod", "talker")


def test_a_killed_process_counts_a_restart(node: WholeNode) -> None:
    node.create(_pod("mortal"))
    node.wait(lambda: node.is_ready("mortal"))
    subprocess.run(["kill", "-9", str(_main_pid(node, "mortal"))], check=True)
    node.wait(lambda: _status(node, "mortal").get("restartCount") == 1)
    node.wait(lambda: node.is_ready("mortal"))
    node.kubectl("delete", "pod", "mortal")


def test_a_killed_kubelet_changes_nothing_and_goes_on(node: WholeNode) -> None:
    for name in ("stays", "leaves"):
        node.create(_pod(name))
    node.wait(lambda: node.is_ready("stays") and node.is_ready("leaves"))
    before, pid = _status(node, "stays"), _main_pid(node, "stays")
    node.kill("kubelet")
    node.kubectl("delete", "pod", "leaves", "--force", "--grace-period=0", "--wait=false")
    node.start_kubelet()
    node.wait(lambda: "leaves" not in node.containerd.ctr("containers", "list").stdout)
    node.wait(lambda: len(node.containerd.ctr("tasks", "list", "-q").stdout.split()) == 2)
    assert _main_pid(node, "stays") == pid
    assert _status(node, "stays") == before
    node.kubectl("delete", "pod", "stays")


def test_kills_at_any_moment_of_a_start_make_nothing_twice(node: WholeNode) -> None:
    names = [f"born-{n}" for n in range(6)]
    for delay, name in zip((0.05, 0.15, 0.25, 0.35, 0.5, 0.8), names, strict=True):
        node.kill("kubelet")
        node.create(_pod(name))
        node.start_kubelet()
        _wait_for_watch(node)
        time.sleep(delay)
    node.wait(lambda: all(node.is_ready(name) for name in names))
    for name in names:
        assert _status(node, name)["restartCount"] == 0, json.dumps(_status(node, name))
    commands = [
        Path(f"/proc/{line.split()[1]}/cmdline").read_bytes()
        for line in node.containerd.ctr("tasks", "list").stdout.splitlines()[1:]
    ]
    assert sum(b"trap" in command for command in commands) == len(names)
    assert len(commands) == 2 * len(names)
    node.kubectl("delete", "pod", *names)


def _wait_for_watch(node: WholeNode) -> None:
    """Until the kubelet answers on its socket: then it soon hears of pods."""
    socket = node.root / "run" / "kubelet-node-1.sock"
    command = [str(BIN / "grpcurl"), "-plaintext", "-unix", str(socket), METHOD]
    node.wait(lambda: subprocess.run(command, capture_output=True, check=False).returncode == 0)


def test_a_killed_api_server_is_waited_for(node: WholeNode) -> None:
    node.create(_pod("patient"))
    node.wait(lambda: node.is_ready("patient"))
    node.kill("apiserver")
    subprocess.run(["kill", "-9", str(_main_pid_of_only(node))], check=True)
    node.start_apiserver()
    node.wait(lambda: _status(node, "patient").get("restartCount") == 1)
    node.kubectl("delete", "pod", "patient")


def _main_pid_of_only(node: WholeNode) -> int:
    for line in node.containerd.ctr("tasks", "list").stdout.splitlines()[1:]:
        pid = line.split()[1]
        if b"trap" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return int(pid)
    raise AssertionError("nothing runs")


def test_static_pods_have_mirrors(node: WholeNode) -> None:
    path = node.root / "manifests" / "static.yaml"
    body = _pod("still")
    del body["spec"]["nodeName"]
    body["spec"]["containers"][0]["imagePullPolicy"] = "IfNotPresent"
    path.write_text(f"kind: Secret\n---\n{yaml.safe_dump(body)}")
    node.wait(lambda: node.is_ready("still-node-1"))
    metadata = node.get("pod", "still-node-1")["metadata"]
    assert metadata["ownerReferences"][0]["kind"] == "Node"
    assert metadata["annotations"]["kubernetes.io/config.source"] == "file"
    assert "kubernetes.io/config.seen" in metadata["annotations"]
    pid = _main_pid(node, "still-node-1")
    uid = node.get("pod", "still-node-1")["metadata"]["uid"]
    node.kubectl("delete", "pod", "still-node-1", "--wait=false")
    node.wait(lambda: node.get("pod", "still-node-1").get("metadata", {}).get("uid") != uid)
    node.wait(lambda: node.is_ready("still-node-1"))
    assert _main_pid(node, "still-node-1") == pid
    path.unlink()
    node.wait(lambda: not node.get("pod", "still-node-1"))
    node.wait(lambda: not node.containerd.ctr("tasks", "list", "-q").stdout.split())


def test_port_forward(node: WholeNode) -> None:
    body = _pod("server")
    body["spec"]["containers"][0]["command"] = [
        "sh",
        "-c",
        "while :; do echo hello | nc -l -p 80; done",
    ]
    node.create(body)
    node.wait(lambda: node.is_ready("server"))
    command = node.enter(
        str(BIN / "kubectl"), "--kubeconfig", f"{node.root}/admin.conf", "port-forward",
        "pod/server", "18080:80",
    )  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as forward:
        assert "Forwarding from" in forward.stdout.readline()
        read = node.enter("busybox", "nc", "-w", "5", "127.0.0.1", "18080")
        answer = subprocess.run(read, capture_output=True, text=True, check=False)
        forward.send_signal(signal.SIGTERM)
    assert answer.stdout == "hello\n"
    node.kubectl("delete", "pod", "server", "--grace-period=1")


def test_the_mesh_lists_pods(node: WholeNode) -> None:
    node.create(_pod("seen"))
    node.wait(lambda: node.is_ready("seen"))
    socket = node.root / "run" / "kubelet-node-1.sock"
    assert socket.stat().st_mode & 0o777 == 0o600
    answer = subprocess.run(
        [str(BIN / "grpcurl"), "-plaintext", "-unix", str(socket), METHOD],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = json.loads(answer.stdout)["pods"][0]
    assert (found["name"], found["phase"]) == ("seen", "Running")
    node.kubectl("delete", "pod", "seen")
