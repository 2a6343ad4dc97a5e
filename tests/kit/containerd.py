"""A containerd of a test's own: own network namespace, directories and socket; all gone after."""

import asyncio
import contextlib
import functools
import inspect
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pilothouse.ops.images.archive import write
from pilothouse.ops.images.recipes import PAUSE, busybox, busybox_layer, pause
from pilothouse.services.kubelet.adapters import cni_conf
from pilothouse.services.kubelet.adapters.volumes import mounts

BUSYBOX = "docker.io/library/busybox:latest"
CONFIGURATION = """version = 2
root = "{root}/root"
state = "{root}/state"
temp = "{root}/tmp"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.internal.v1.restart",
  "io.containerd.nri.v1.nri"]
[grpc]
  address = "{root}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  disable_tcp_service = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{root}/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{snapshotter}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      Root = "{root}/runc"
"""


def environment() -> dict[str, str]:
    """That of commands: the binaries of ``PILOTHOUSE_CONTAINERD``, a folder, come first."""
    found = dict(os.environ)
    if folder := found.get("PILOTHOUSE_CONTAINERD"):
        found["PATH"] = f"{folder}:{found['PATH']}"
    return found


@functools.cache
def version() -> tuple[int, int]:
    """Of the containerd that tests run on, as (1, 6)."""
    said = subprocess.run(
        ["containerd", "--version"], env=environment(), capture_output=True, text=True, check=True
    )
    numbers = re.search(r" v?(\d+)\.(\d+)\.", said.stdout)
    return int(numbers[1]), int(numbers[2])


@dataclass
class Containerd:
    """One running containerd."""

    root: Path
    netns: str
    cgroup_root: str
    process: subprocess.Popen | None = None

    @property
    def endpoint(self) -> str:
        return f"unix://{self.root}/containerd.sock"

    def start(self) -> None:
        with (self.root / "containerd.log").open("ab") as log:
            self.process = subprocess.Popen(
                ["nsenter", f"--net=/run/netns/{self.netns}", "containerd", "--config",
                 str(self.root / "config.toml"), "--log-level", "info"],
                stdout=log, stderr=log, env=environment(),
            )  # fmt: skip
        for _ in range(200):
            if self.ctr("version", check=False).returncode == 0:
                return
            time.sleep(0.05)
        raise RuntimeError((self.root / "containerd.log").read_text()[-2000:])

    def kill(self) -> None:
        """As a crash does it; shims and containers stay."""
        self.process.kill()
        self.process.wait()

    def ctr(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess:
        return subprocess.run(
            ["ctr", "--address", f"{self.root}/containerd.sock", "--namespace", "k8s.io",
             *arguments],
            env=environment(), capture_output=True, text=True, check=check,
        )  # fmt: skip

    def shims(self) -> list[int]:
        """Process ids of the shims of this containerd."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with contextlib.suppress(OSError):
                command = (entry / "cmdline").read_bytes()
                if b"containerd-shim" in command and str(self.root).encode() in command:
                    found.append(int(entry.name))
        return found

    def lose_power(self) -> None:
        """Kill containerd, the shims and all that runs in them at once."""
        self.kill()
        tasks = list(self.root.glob("state/io.containerd.runtime.v2.task/k8s.io/*/init.pid"))
        for path in tasks:
            with contextlib.suppress(OSError, ValueError):
                os.kill(int(path.read_text()), signal.SIGKILL)
        for pid in self.shims():
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)

    def clean(self) -> None:
        self.lose_power()
        mounts.unmount_below(self.root)
        subprocess.run(["ip", "netns", "delete", self.netns], check=False)
        for hierarchy in Path("/sys/fs/cgroup").iterdir():
            top = hierarchy / self.cgroup_root.strip("/")
            for path in sorted((p for p in top.rglob("*") if p.is_dir()), reverse=True):
                with contextlib.suppress(OSError):
                    path.rmdir()
            with contextlib.suppress(OSError):
                top.rmdir()
        shutil.rmtree(self.root, ignore_errors=True)


Kind = TypeVar("Kind", bound=Containerd)


@contextlib.contextmanager
def containerd(kind: type[Kind] = Containerd) -> Iterator[Kind]:
    """Up, with pause and busybox and a bridge network, until the block ends."""
    root = Path(tempfile.mkdtemp(prefix="ph-cri-", dir="/tmp"))
    name = root.name
    found = kind(root, name, f"/{name}")
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
        text = CONFIGURATION.format(root=root, pause=PAUSE, snapshotter=snapshotter(root))
        (root / "config.toml").write_text(text)
        cni_conf.write(root / "cni" / "net.d", "10.244.77.0/24")
        found.start()
        archive = root / "images.tar"
        write(archive, [pause(), busybox(busybox_layer())])
        found.ctr("images", "import", "--snapshotter", snapshotter(root), str(archive))
        yield found
    finally:
        found.clean()


def snapshotter(root: Path) -> str:
    """Which one works below ``root``: an overlay does not lie on an overlay."""
    return "native" if _is_overlay(root) else "overlayfs"


def _is_overlay(path: Path) -> bool:
    answer = subprocess.run(
        ["stat", "-f", "-c", "%T", str(path)], capture_output=True, text=True, check=True
    )
    return "overlay" in answer.stdout


def pod_of(uid: str, name: str = "web", **spec: object) -> dict:
    """A pod as the API server would send it; one busybox that sleeps unless told otherwise."""
    container = {
        "name": "main",
        "image": "busybox",
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "uid": uid, "resourceVersion": "1"},
        "spec": {
            "containers": [container],
            "nodeName": "node-1",
            "terminationGracePeriodSeconds": 5,
            **spec,
        },
    }


def in_netns(netns: str, *command: str) -> str:
    answer = subprocess.run(
        ["nsenter", f"--net=/run/netns/{netns}", *command],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return answer.stdout


async def wait_for(question, seconds: float = 20.0):
    """The first truthy answer."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = question()
        if found:
            return found
        await asyncio.sleep(0.02)
    raise AssertionError(f"not true within {seconds} s: {inspect.getsource(question).strip()}")


def dump(value: object) -> str:
    return json.dumps(value, indent=1, default=str)
