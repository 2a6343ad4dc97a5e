"""A real API server, a real kubelet and a real containerd as processes, in one namespace."""

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kit.containerd import Containerd, containerd

from pilothouse.ops.pki import kubeconfig
from pilothouse.ops.pki.authority import Authority
from pilothouse.ops.pki.plan import control_plane, node
from pilothouse.services.runtime.clock import SystemClock

TOP = Path(__file__).parents[2]
BIN = TOP / ".venv" / "bin"
NODE_IP = "10.90.0.11"
POD_CIDR = "10.244.77.0/24"


ROOMY = (
    "--eviction-hard=memory.available<100Mi,nodefs.available<64Mi",
    "--image-gc-high-threshold=100", "--image-gc-low-threshold=99", "--pod-max-pids=100",
)  # fmt: skip
"""The disk of the machine that tests may be rather full, images stay, and forks are few."""


@dataclass
class WholeNode:
    """``kubectl`` is the judge."""

    containerd: Containerd
    processes: dict[str, subprocess.Popen] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        return self.containerd.root

    def enter(self, *command: str) -> list[str]:
        return ["nsenter", f"--net=/run/netns/{self.containerd.netns}", *command]

    def start(self, service: str, *flags: str) -> None:
        with (self.root / f"{service}.log").open("ab") as log:
            self.processes[service] = subprocess.Popen(
                self.enter(str(BIN / "pilothouse"), service, *flags), stdout=log, stderr=log
            )

    def kill(self, service: str) -> None:
        """As a crash does it."""
        process = self.processes.pop(service)
        process.kill()
        process.wait()

    def start_apiserver(self) -> None:
        root = self.root
        self.start(
            "apiserver", f"--data-dir={root}/api", f"--run-dir={root}/run", f"--pki-dir={root}/pki",
            "--bind-address=10.90.0.1", "--mesh-address=10.90.0.1:6444",
        )  # fmt: skip
        self.wait(lambda: self.kubectl("get", "--raw", "/readyz", check=False).returncode == 0)

    def start_kubelet(self, *more: str) -> None:
        root, pki = self.root, self.root / "pki"
        (root / "manifests").mkdir(exist_ok=True)
        self.start(
            "kubelet", "--node-name=node-1", f"--node-ip={NODE_IP}", "--server=10.90.0.1:6444",
            f"--client-certificate={pki}/kubelet-node-1.crt",
            f"--client-key={pki}/kubelet-node-1.key",
            f"--certificate-authority={pki}/ca.crt",
            f"--container-runtime-endpoint={self.containerd.endpoint}",
            f"--root-dir={root}/kubelet", f"--log-dir={root}/logs",
            f"--cni-conf-dir={root}/cni/net.d", f"--cgroup-root={self.containerd.cgroup_root}",
            f"--pod-manifest-path={root}/manifests", f"--run-dir={root}/run", *ROOMY, *more,
        )  # fmt: skip

    def kubectl(
        self, *arguments: str, text: str = "", check: bool = True
    ) -> subprocess.CompletedProcess:
        answer = subprocess.run(
            self.enter(str(BIN / "kubectl"), "--kubeconfig", f"{self.root}/admin.conf", *arguments),
            capture_output=True,
            text=True,
            check=False,
            input=text,
            env={**os.environ, "HOME": str(self.root)},
        )
        assert not check or answer.returncode == 0, answer.stderr + self.log_tail()
        return answer

    def get(self, *arguments: str) -> dict[str, Any]:
        """The object as JSON; empty when it is not there."""
        answer = self.kubectl("get", *arguments, "-o", "json", check=False)
        return json.loads(answer.stdout) if answer.returncode == 0 else {}

    def create(self, body: dict[str, Any]) -> None:
        self.kubectl("create", "-f", "-", text=json.dumps(body))

    def wait(self, question: Callable[[], object], seconds: float = 30.0) -> Any:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = question()
            if found:
                return found
            time.sleep(0.05)
        raise AssertionError(f"not true within {seconds} s\n{self.log_tail()}")

    def log_tail(self) -> str:
        return "".join(
            f"--- {name}\n{(self.root / f'{name}.log').read_text()[-3000:]}"
            for name in ("apiserver", "kubelet")
            if (self.root / f"{name}.log").exists()
        )

    def is_ready(self, name: str) -> bool:
        conditions = self.get("pod", name).get("status", {}).get("conditions", [])
        return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


@contextlib.contextmanager
def whole_node() -> Iterator[WholeNode]:
    """Node Ready, until the block ends."""
    with containerd() as runtime:
        found = WholeNode(runtime)
        netns = runtime.netns
        for command in (
            "link add eth0 type veth peer name fabric0",
            f"addr add {NODE_IP}/24 dev eth0",
            "addr add 10.90.0.1/24 dev fabric0",
            "link set eth0 up",
            "link set fabric0 up",
        ):
            subprocess.run(["ip", "-n", netns, *command.split()], check=True)
        authority = Authority.open(runtime.root / "pki", SystemClock())
        authority.ensure_service_account_key()
        for wanted in (*control_plane(["10.90.0.1"]), *node("node-1", NODE_IP)):
            authority.ensure(wanted)
        kubeconfig.write(
            runtime.root / "admin.conf",
            cluster="test",
            server="https://10.90.0.1:6443",
            pki=runtime.root / "pki",
        )
        try:
            found.start_apiserver()
            found.start_kubelet()
            found.wait(lambda: found.get("node", "node-1"))
            patch = json.dumps({"spec": {"podCIDR": POD_CIDR, "podCIDRs": [POD_CIDR]}})
            found.kubectl("patch", "node", "node-1", "--type=merge", "-p", patch)
            found.wait(lambda: "True" in _readiness(found))
            for body in _born_with((runtime.root / "pki" / "ca.crt").read_text()):
                found.create(body)
            yield found
        finally:
            for process in found.processes.values():
                process.terminate()
            for process in found.processes.values():
                process.wait(10)


def _born_with(authority: str) -> list[dict[str, Any]]:
    """What the controllers give a namespace."""
    trust = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kube-root-ca.crt"}}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    return [account, trust | {"data": {"ca.crt": authority}}]


def _readiness(found: WholeNode) -> list[str]:
    conditions = found.get("node", "node-1").get("status", {}).get("conditions", [])
    return [item["status"] for item in conditions if item["type"] == "Ready"]
