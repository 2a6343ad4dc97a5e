"""What kubectl does inside of pods and with the nodes under them."""

import contextlib
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.cluster import Cluster


@pytest.fixture
def pod(example: Cluster) -> str:
    """The name of a running nginx pod."""
    return example.pods("app=nginx")[0]["metadata"]["name"]


@pytest.fixture
def shell(cluster: Cluster) -> Iterator[str]:
    """The name of a pod that counts aloud, once a second."""
    script = "n=0; while sleep 1; do n=$((n+1)); echo count $n; done"
    cluster.kubectl("run", "shell", "--image=busybox", "--", "sh", "-c", script)
    cluster.kubectl("wait", "pod/shell", "--for=condition=Ready", "--timeout=60s")
    yield "shell"
    cluster.kubectl("delete", "pod", "shell", "--grace-period=1")


@contextlib.contextmanager
def forwarded(cluster: Cluster, target: str, port: int) -> Iterator[int]:
    """The local port that kubectl forwards to the target's."""
    with subprocess.Popen(
        ["kubectl", "port-forward", target, f":{port}"],
        env=cluster.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            found = re.match(r"Forwarding from 127\.0\.0\.1:(\d+) ->", said)
            assert found, said
            yield int(found[1])
        finally:
            process.terminate()


def test_files_are_copied_both_ways(cluster: Cluster, shell: str, tmp_path: Path) -> None:
    sent = tmp_path / "sent"
    sent.mkdir()
    (sent / "some").write_bytes(bytes(range(256)) * 5000)
    (sent / "empty").touch()
    cluster.kubectl("cp", str(sent), f"{shell}:/tmp/there")
    assert "some" in cluster.kubectl("exec", shell, "--", "ls", "/tmp/there")
    cluster.kubectl("cp", f"{shell}:/tmp/there", str(tmp_path / "back"))
    assert (tmp_path / "back" / "some").read_bytes() == (sent / "some").read_bytes()
    assert (tmp_path / "back" / "empty").read_bytes() == b""


@pytest.mark.parametrize("kind", ["pod", "deployment", "service"])
def test_ports_are_forwarded(example: Cluster, pod: str, kind: str) -> None:
    names = {"pod": pod, "deployment": "ngx-deployment", "service": "ngx-service"}
    with forwarded(example, f"{kind}/{names[kind]}", 80) as port:
        for _ in range(3):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
                assert answer.status == 200


def test_attach_shows_what_the_container_prints(cluster: Cluster, shell: str) -> None:
    with subprocess.Popen(
        ["kubectl", "attach", shell], env=cluster.environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(2)]
        process.kill()
    first, second = (int(line.removeprefix("count ")) for line in lines)
    assert second == first + 1


def test_debug_adds_a_container_that_sees_the_pods_processes(example: Cluster, pod: str) -> None:
    example.kubectl("debug", pod, "--image=busybox", "--container=looking", "--target=nginx",
                    "--profile=general", "--", "sh", "-c", "ps; sleep 1")  # fmt: skip

    def printed() -> bool:
        return "nginx" in example.try_kubectl("logs", pod, "-c", "looking").stdout

    example.eventually("it looked around", printed)
    guests = example.get("pod", pod)["spec"]["ephemeralContainers"]
    assert [guest["name"] for guest in guests] == ["looking"]


def test_debug_runs_a_copy(example: Cluster, pod: str) -> None:
    example.kubectl("debug", pod, "--copy-to=copied", "--image=busybox", "--container=beside",
                    "--profile=general", "--", "sleep", "60")  # fmt: skip
    try:
        example.kubectl("wait", "pod/copied", "--for=condition=Ready", "--timeout=60s")
        containers = example.get("pod", "copied")["spec"]["containers"]
        assert [container["name"] for container in containers] == ["nginx", "beside"]
    finally:
        example.kubectl("delete", "pod", "copied", "--grace-period=1")


def test_debug_a_node(cluster: Cluster) -> None:
    said = cluster.kubectl("debug", "node/node-1", "--image=busybox", "--profile=general",
                           "--", "sh", "-c", "ls -d /host/etc; hostname")  # fmt: skip
    name = re.search(r"node-debugger-node-1-\w+", said)
    assert name, said
    try:
        cluster.eventually(
            "it ran on the node",
            lambda: "/host/etc" in cluster.try_kubectl("logs", name[0]).stdout,
        )
    finally:
        cluster.kubectl("delete", "pod", name[0], "--grace-period=1")


def test_a_drained_node_is_empty_until_it_is_uncordoned(example: Cluster) -> None:
    example.kubectl("scale", "deployment", "ngx-deployment", "--replicas=4")
    example.eventually("4/4", lambda: example.deployment_is("ngx-deployment", 4))
    try:
        said = example.kubectl("drain", "node-2", "--ignore-daemonsets", "--force",
                               "--delete-emptydir-data", "--timeout=90s", timeout=100)  # fmt: skip
        assert "node/node-2 drained" in said
        example.eventually("4/4", lambda: example.deployment_is("ngx-deployment", 4))
        assert {pod["spec"]["nodeName"] for pod in example.pods("app=nginx")} == {"node-1"}
        row = example.kubectl("get", "node", "node-2", "--no-headers")
        assert "SchedulingDisabled" in row
    finally:
        example.kubectl("uncordon", "node-2")
        example.kubectl("scale", "deployment", "ngx-deployment", "--replicas=2")
        example.eventually("2/2", lambda: example.deployment_is("ngx-deployment", 2))
