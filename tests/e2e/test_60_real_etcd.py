"""The API server on a real etcd of Debian, unchanged: same kubectl, same keys."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from kit.cluster import Cluster

from pilothouse.ops.pki import kubeconfig
from pilothouse.ops.pki.authority import Authority
from pilothouse.ops.pki.plan import control_plane
from pilothouse.services.runtime.clock import SystemClock


@dataclass
class Pair:
    """An etcd and the API server in front of it."""

    etcd: str
    client: Cluster


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    pki = tmp_path / "pki"
    authority = Authority.open(pki, SystemClock())
    for certificate in control_plane(["127.0.0.1"]):
        authority.ensure(certificate)
    authority.ensure_service_account_key()
    client_port, peer_port, port, mesh = (free_port() for _ in range(4))
    etcd_url, peer_url = f"http://127.0.0.1:{client_port}", f"http://127.0.0.1:{peer_port}"
    server = f"https://127.0.0.1:{port}"
    kubeconfig.write(tmp_path / "admin.conf", cluster="etcd", server=server, pki=pki)
    handle = Cluster("etcd-only", port, "127.0.0.1")
    handle.environment["KUBECONFIG"] = str(tmp_path / "admin.conf")
    handle.environment["HOME"] = str(tmp_path)
    flags = {
        "etcd-servers": etcd_url,
        "bind-address": "127.0.0.1",
        "secure-port": port,
        "mesh-address": f"127.0.0.1:{mesh}",
        "advertise-address": "127.0.0.1",
        "data-dir": tmp_path / "data",
        "run-dir": tmp_path / "run",
        "client-ca-file": pki / "ca.crt",
        "tls-cert-file": pki / "apiserver.crt",
        "tls-private-key-file": pki / "apiserver.key",
        "service-account-key-file": pki / "sa.pub",
        "service-account-signing-key-file": pki / "sa.key",
        "kubelet-client-certificate": pki / "apiserver-kubelet-client.crt",
        "kubelet-client-key": pki / "apiserver-kubelet-client.key",
        "kubelet-certificate-authority": pki / "ca.crt",
    }
    etcd = ["etcd", "--data-dir", str(tmp_path / "etcd"), "--listen-client-urls", etcd_url,
            "--advertise-client-urls", etcd_url, "--listen-peer-urls", peer_url,
            "--initial-advertise-peer-urls", peer_url, "--initial-cluster", f"default={peer_url}",
            "--logger", "zap", "--log-level", "error"]  # fmt: skip
    apiserver = [sys.executable, "-m", "pilothouse.ops.cli", "apiserver"]
    apiserver += [f"--{name}={value}" for name, value in flags.items()]
    with (tmp_path / "log").open("wb") as log:
        running = [subprocess.Popen(command, stderr=log) for command in (etcd, apiserver)]
        try:
            handle.eventually(
                "the API server is ready",
                lambda: handle.try_kubectl("get", "--raw", "/readyz").stdout == "ok",
            )
            yield Pair(etcd_url, handle)
        finally:
            for process in reversed(running):
                process.terminate()
                process.wait(20)


def test_kubectl_on_a_real_etcd(pair: Pair) -> None:
    client = pair.client
    client.create(apiVersion="v1", kind="Namespace", metadata={"name": "real"})
    about = {"name": "a", "namespace": "real"}
    client.create(apiVersion="v1", kind="ConfigMap", metadata=about, data={"k": "1"})
    client.kubectl("label", "configmap", "a", "-n", "real", "colour=red")
    assert client.get("configmaps", "-n", "real", "-l", "colour=red")["items"][0]["data"] == {
        "k": "1"
    }
    stored = subprocess.run(
        ["etcdctl", f"--endpoints={pair.etcd}", "get", "/registry/configmaps/real/a",
         "--print-value-only"],
        capture_output=True, text=True, check=True, env={**os.environ, "ETCDCTL_API": "3"},
    ).stdout  # fmt: skip
    assert json.loads(stored)["metadata"]["labels"] == {"colour": "red"}
    health = client.get("componentstatuses", "etcd-0")
    assert health["conditions"][0]["status"] == "True"
    client.kubectl("delete", "configmap", "a", "-n", "real")
    assert client.get("configmaps", "-n", "real", "-l", "colour=red")["items"] == []
