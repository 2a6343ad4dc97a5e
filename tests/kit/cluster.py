"""A real cluster as its user has it: kubectl, a shell on a node, signals to processes."""

import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

TOP = Path(__file__).resolve().parents[2]
NODES = 2
EXAMPLE = TOP / "examples" / "nginx-deployment.yaml"


class Cluster:
    """The hands of a user: kubectl, a shell on a node, signals to processes."""

    def __init__(self, name: str, port: int, publish_address: str) -> None:
        self.name, self.port, self.publish_address = name, port, publish_address
        self.state = Path(f"/var/lib/pilothouse-{name}")
        self.config = Path(f"/etc/pilothouse-{name}")
        self.run_directory = Path(f"/run/pilothouse-{name}")
        self.environment = {
            **os.environ,
            "KUBECONFIG": str(self.config / "admin.conf"),
            "HOME": str(self.state),
            "PATH": f"{TOP}/.venv/bin:{os.environ['PATH']}",
        }

    def up(self, *flags: str) -> str:
        """Bring it up, or up again."""
        return self._ops("up", "--port", str(self.port), "--publish-address",
                         self.publish_address, *flags)  # fmt: skip

    def down(self, *flags: str) -> str:
        """Take it down."""
        return self._ops("down", *flags)

    def _ops(self, verb: str, *flags: str) -> str:
        done = subprocess.run(
            [TOP / "ops" / verb, "--name", self.name, *flags],
            capture_output=True, text=True, timeout=300, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, f"ops/{verb}: {done.stdout}\n{done.stderr}\n{self.log_tails()}"
        return done.stdout

    def log_tails(self) -> str:
        """The ends of the services' logs, for whoever reads a failure."""
        paths = sorted((self.state / "logs").glob("*.log"))
        ends = ("\n".join(path.read_text().splitlines()[-6:]) for path in paths)
        return "\n".join(f"--- {path.name}\n{end}" for path, end in zip(paths, ends, strict=True))

    def try_kubectl(
        self, *arguments: str, stdin: str | None = None, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl, whatever it says."""
        return subprocess.run(
            ["kubectl", *arguments], env=self.environment, capture_output=True, text=True,
            input=stdin if stdin is not None else "", timeout=timeout, check=False,
        )  # fmt: skip

    def kubectl(self, *arguments: str, stdin: str | None = None, timeout: float = 60) -> str:
        """Run kubectl, which must succeed; what it prints."""
        done = self.try_kubectl(*arguments, stdin=stdin, timeout=timeout)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    def get(self, *arguments: str) -> Any:
        """``kubectl get … -o json``, decoded."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def create(self, **manifest: Any) -> str:
        """``kubectl create -f -`` of one object."""
        return self.kubectl("create", "-f", "-", stdin=json.dumps(manifest))

    def create_configmap(self, name: str, **data: str) -> str:
        """A ConfigMap in the default namespace."""
        literals = [f"--from-literal={key}={value}" for key, value in data.items()]
        return self.kubectl("create", "configmap", name, *literals)

    def try_get(self, *arguments: str) -> Any:
        """The same, or None while the API does not answer."""
        done = self.try_kubectl("get", *arguments, "-o", "json", "--request-timeout=5s")
        return json.loads(done.stdout) if done.returncode == 0 else None

    def pods(self, selector: str) -> list[dict[str, Any]]:
        """The pods that match and are not being deleted."""
        items = self.get("pods", "-l", selector)["items"]
        return [pod for pod in items if "deletionTimestamp" not in pod["metadata"]]

    def eventually(
        self, what: str, holds: Callable[[], Any], seconds: float = 60, every: float = 0.1
    ) -> Any:
        """Ask until the answer is true; the bound is for failure, it measures nothing."""
        deadline = time.monotonic() + seconds
        while True:
            answer = holds()
            if answer:
                return answer
            assert time.monotonic() < deadline, (
                f"{what}: not within {seconds} s\n{self.state_text()}"
            )
            time.sleep(every)

    def state_text(self) -> str:
        """What a person would look at first."""
        pods = self.try_kubectl("get", "pods,deployments,replicasets", "-A", "-o", "wide")
        return f"{pods.stdout}{pods.stderr}\n{self.log_tails()}"

    def deployment_is(self, name: str, replicas: int) -> bool:
        """Whether every replica is updated, ready and none is too many."""
        deployment = self.try_get("deployment", name)
        if deployment is None:
            return False
        status = deployment["status"]
        return (
            status.get("observedGeneration") == deployment["metadata"]["generation"]
            and status.get("replicas") == replicas
            and status.get("updatedReplicas") == replicas
            and status.get("readyReplicas") == replicas
            and status.get("availableReplicas") == replicas
        )

    def on_node(self, number: int, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in a node's network namespace."""
        netns = f"/run/netns/pilothouse-{self.name}-node-{number}"
        return subprocess.run(
            ["nsenter", f"--net={netns}", *command],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    def ask(self, url: str, times: int, *, node: int | None = 1) -> Counter[str]:
        """How often each pod answered; a new connection each time, and every one must succeed."""
        script = (
            f"for i in $(seq {times}); do curl -sS --fail --max-time 10 {url}/hostname"
            " || echo FAILED; done"
        )
        if node is None:
            command = ["sh", "-c", script]
            done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        else:
            done = self.on_node(node, "sh", "-c", script)
        answers = Counter(done.stdout.split())
        assert "FAILED" not in answers, done.stderr[-2000:]
        assert answers.total() == times
        return answers

    def processes(self) -> dict[str, int]:
        """The supervised processes that are alive, by name."""
        alive = {}
        for path in (self.run_directory / "pids").glob("*.pid"):
            pid = int(path.read_text().split()[0])
            if is_alive(pid):
                alive[path.stem] = pid
        return alive

    def kill(self, process: str) -> int:
        """kill -9 a supervised process; its pid."""
        pid = self.processes()[process]
        os.kill(pid, signal.SIGKILL)
        return pid


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and waits for its parent to look does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"
