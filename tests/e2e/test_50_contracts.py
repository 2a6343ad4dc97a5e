"""The contracts between processes, as grpcurl and etcdctl see them."""

import json
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from kit.cluster import TOP, Cluster

GRPCURL = TOP / ".venv/bin/grpcurl"
PACKAGE = "pilothouse.mesh.v1"

# Socket, the service it serves, one call and what it needs.
CALLS = [
    ("apiserver.sock", "Objects", "Get", {"resource": {"version": "v1", "resource": "namespaces"},
                                          "name": "default"}),
    ("scheduler.sock", "Scheduling", "Explain", {"namespace": "default", "name": "@POD"}),
    ("controllers.sock", "Controllers", "List", {}),
    ("kubelet-node-1.sock", "Node", "ListPods", {}),
    ("kubelet-node-1.sock", "Node", "Stats", {"only_cpu_and_memory": True}),
    ("proxy-node-1.sock", "Rules", "List", {}),
]  # fmt: skip


def grpcurl(socket: Path, *arguments: str, data: Any = None) -> str:
    flags = ["-plaintext", "-unix"]
    if data is not None:
        flags += ["-d", json.dumps(data)]
    done = subprocess.run(
        [GRPCURL, *flags, str(socket), *arguments],
        capture_output=True, text=True, timeout=30, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("socket", "service", "method", "request_"), CALLS)
def test_every_service_is_listed_healthy_and_called(
    example: Cluster, socket: str, service: str, method: str, request_: dict[str, Any]
) -> None:
    path = example.run_directory / socket
    example.eventually("the service listens", path.is_socket)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600  # noqa: PTH116 - of the socket itself
    listed = grpcurl(path, "list").split()
    assert f"{PACKAGE}.{service}" in listed
    assert "grpc.health.v1.Health" in listed
    health = json.loads(grpcurl(path, "grpc.health.v1.Health/Check"))
    assert health["status"] == "SERVING"
    pod = example.pods("app=nginx")[0]["metadata"]["name"]
    data = json.loads(json.dumps(request_).replace("@POD", pod))
    answer = json.loads(grpcurl(path, f"{PACKAGE}.{service}/{method}", data=data))
    assert answer


def test_the_scheduler_explains_where_a_pod_went(example: Cluster) -> None:
    pod = example.pods("app=nginx")[0]
    answer = json.loads(
        grpcurl(
            example.run_directory / "scheduler.sock",
            f"{PACKAGE}.Scheduling/Explain",
            data={"namespace": "default", "name": pod["metadata"]["name"]},
        )
    )
    assert answer["node"] == pod["spec"]["nodeName"]
    assert {verdict["node"] for verdict in answer["nodes"]} == {"node-1", "node-2"}


def test_the_mesh_takes_only_certificates_of_our_authority(cluster: Cluster) -> None:
    netns = f"/run/netns/pilothouse-{cluster.name}"
    done = subprocess.run(
        ["nsenter", f"--net={netns}", GRPCURL, "-insecure", "-connect-timeout", "5",
         "10.90.0.1:6444", "list"],
        capture_output=True, text=True, timeout=30, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode != 0


def etcdctl(cluster: Cluster, *arguments: str) -> str:
    socket = cluster.run_directory / "store.sock"
    done = subprocess.run(
        ["etcdctl", f"--endpoints=unix://{socket}", *arguments],
        capture_output=True, text=True, timeout=30, check=False,
        env={**os.environ, "ETCDCTL_API": "3"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_etcdctl_reads_what_kubectl_wrote(example: Cluster) -> None:
    keys = etcdctl(example, "get", "/registry/", "--prefix", "--keys-only").split()
    assert "/registry/deployments/default/ngx-deployment" in keys
    stored = json.loads(
        etcdctl(example, "get", "/registry/services/default/ngx-service", "--print-value-only")
    )
    assert stored["kind"] == "Service"
    assert "resourceVersion" not in stored["metadata"]


def test_etcdctl_puts_gets_watches_and_grants(cluster: Cluster) -> None:
    assert etcdctl(cluster, "put", "/test/a", "1").strip() == "OK"
    assert etcdctl(cluster, "get", "/test/a").split() == ["/test/a", "1"]
    lease = etcdctl(cluster, "lease", "grant", "60").split()[1]
    assert etcdctl(cluster, "put", "/test/b", "2", f"--lease={lease}").strip() == "OK"
    etcdctl(cluster, "lease", "revoke", lease)
    assert etcdctl(cluster, "get", "/test/b") == ""
    assert etcdctl(cluster, "del", "/test/a").strip() == "1"


def test_every_process_carries_its_name(cluster: Cluster) -> None:
    said = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    titles = {line.strip() for line in said.splitlines() if line.startswith("pilothouse ")}
    for title in (
        "supervisor",
        "apiserver",
        "scheduler",
        "controllers",
        "kubelet --node node-1",
        "proxy --node node-2",
    ):
        assert f"pilothouse {title}" in titles
