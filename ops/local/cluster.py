"""A local cluster as a value: its names, directories and addresses."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pilothouse.ops.flags import API_PORT

DEFAULT_NAME = "default"
FABRIC_BRIDGE = "fabric"
CONTROL_PLANE_ADDRESS = "10.90.0.1"
FABRIC_PREFIX = 24
POD_CIDR = "10.244.0.0/16"
NODES_MAX = 200
# Who answers the kubelet's calls: containerd's own CRI server, or ours on its native services.
CONTAINERD, CRI_SHIM = "containerd", "cri-shim"
CONTAINER_RUNTIMES = (CONTAINERD, CRI_SHIM)
DEBIANS = "/usr/bin/containerd"

# Socket paths hold at most 107 bytes, and the name is in them.
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,18}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Node:
    """One node of a cluster, counted from 1."""

    cluster: "Cluster"
    number: int

    @property
    def name(self) -> str:
        return f"node-{self.number}"

    @property
    def address(self) -> str:
        return f"10.90.0.{10 + self.number}"

    @property
    def netns(self) -> str:
        return f"{self.cluster.slug}-{self.name}"

    @property
    def state(self) -> Path:
        return self.cluster.state / "nodes" / self.name

    @property
    def run(self) -> Path:
        return self.cluster.run / "nodes" / self.name

    @property
    def containerd_socket(self) -> Path:
        return self.run / "containerd.sock"

    @property
    def cri_socket(self) -> Path:
        """Where the kubelet finds its container runtime."""
        own = self.cluster.container_runtime == CRI_SHIM
        return self.run / "cri-shim.sock" if own else self.containerd_socket


@dataclass(frozen=True, slots=True)
class Cluster:
    """What ``ops/up`` was asked for; kept in ``cluster.json`` in the state directory."""

    name: str = DEFAULT_NAME
    nodes: int = 1
    port: int = API_PORT
    publish_address: str = "127.0.0.1"
    container_runtime: str = CONTAINERD
    # The program; its shims and ctr lie beside it.
    containerd: str = DEBIANS

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                f"cluster name {self.name!r}: not a DNS label of at most 20 characters"
            )
        if not 1 <= self.nodes <= NODES_MAX:
            raise ValueError(f"{self.nodes} nodes: not between 1 and {NODES_MAX}")
        if not 1 <= self.port <= 65535:  # noqa: PLR2004 - the last port there is
            raise ValueError(f"port {self.port}: not between 1 and 65535")
        if self.container_runtime not in CONTAINER_RUNTIMES:
            raise ValueError(f"{self.container_runtime}: none of {', '.join(CONTAINER_RUNTIMES)}")

    @property
    def slug(self) -> str:
        """The name that directories, namespaces and cgroups of this cluster carry."""
        return "pilothouse" if self.name == DEFAULT_NAME else f"pilothouse-{self.name}"

    @property
    def state(self) -> Path:
        return Path("/var/lib") / self.slug

    @property
    def config(self) -> Path:
        return Path("/etc") / self.slug

    @property
    def run(self) -> Path:
        return Path("/run") / self.slug

    @property
    def pki(self) -> Path:
        return self.config / "pki"

    @property
    def kubeconfig(self) -> Path:
        return self.config / "admin.conf"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def server(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def members(self) -> Sequence[Node]:
        return [Node(self, number) for number in range(1, self.nodes + 1)]

    def save(self) -> None:
        """Keep the answer to "what was asked for" across restarts and power loss."""
        path = self.state / "cluster.json"
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(self)))
        fresh.replace(path)


def load(name: str) -> Cluster | None:
    """The cluster of this name as it was last brought up; None when there is none."""
    path = Cluster(name).state / "cluster.json"
    try:
        return Cluster(**json.loads(path.read_text()))
    except FileNotFoundError:
        return None


def names() -> list[str]:
    """The names of every local cluster that has left a ledger on this machine."""
    found = []
    for ledger in sorted(Path("/var/lib").glob("pilothouse*/ledger.jsonl")):
        slug = ledger.parent.name
        found.append(DEFAULT_NAME if slug == "pilothouse" else slug.removeprefix("pilothouse-"))
    return found
