"""What a node's containerd is told: in its first language, or since 2.0 in its second."""

import json
from dataclasses import dataclass
from pathlib import Path

from pilothouse.ops.images.recipes import PAUSE
from pilothouse.ops.local.cluster import CRI_SHIM, Node

CRI_PLUGIN = "io.containerd.grpc.v1.cri"
RUNTIME_PLUGIN = "io.containerd.cri.v1.runtime"
IMAGES_PLUGIN = "io.containerd.cri.v1.images"

# Off: what no pod of ours uses. The opt plugin would make /opt/containerd, NRI /run/nri.
DISABLED = (
    "io.containerd.internal.v1.opt",
    "io.containerd.internal.v1.restart",
    "io.containerd.monitor.container.v1.restart",
    "io.containerd.nri.v1.nri",
    "io.containerd.snapshotter.v1.aufs",
    "io.containerd.snapshotter.v1.blockfile",
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.erofs",
    "io.containerd.snapshotter.v1.zfs",
    "io.containerd.tracing.processor.v1.otlp",
)
SECOND_SINCE = (2, 0)
DIRECTORIES_SINCE = (2, 1)
"""bin_dir of CNI became bin_dirs, and goes away with 2.3."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What the configuration depends on besides the node."""

    version: tuple[int, int]
    snapshotter: str
    restrict_oom_score_adj: bool
    cni_binaries: Path


def configuration(node: Node, machine: Machine) -> str:
    """The node's ``config.toml``; nothing of it touches a path outside the node's directories."""
    if machine.version >= SECOND_SINCE:
        return _top(node, 3) + _second(node, machine)
    return _top(node, 2) + _first(node, machine)


def _top(node: Node, language: int) -> str:
    own = node.cluster.container_runtime == CRI_SHIM
    disabled = [*DISABLED, CRI_PLUGIN] if own else list(DISABLED)
    return f"""version = {language}
root = "{node.state}/containerd"
state = "{node.run}/containerd"
temp = "{node.state}/containerd/tmp"
disabled_plugins = {json.dumps(disabled)}

[grpc]
  address = "{node.containerd_socket}"

[plugins."{CRI_PLUGIN}"]
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
"""


def _first(node: Node, machine: Machine) -> str:
    cri = f'plugins."{CRI_PLUGIN}"'
    return f"""  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = {_boolean(machine.restrict_oom_score_adj)}
  netns_mounts_under_state_dir = true
  [{cri}.cni]
    bin_dir = "{machine.cni_binaries}"
    conf_dir = "{node.state}/cni/net.d"
  [{cri}.registry]
    config_path = "{node.cluster.config}/certs.d"
  [{cri}.containerd]
    snapshotter = "{machine.snapshotter}"
    default_runtime_name = "runc"
    [{cri}.containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [{cri}.containerd.runtimes.runc.options]
        Root = "{node.run}/runc"
"""


def _second(node: Node, machine: Machine) -> str:
    runtime, images = f'plugins."{RUNTIME_PLUGIN}"', f'plugins."{IMAGES_PLUGIN}"'
    binaries = f'bin_dir = "{machine.cni_binaries}"'
    if machine.version >= DIRECTORIES_SINCE:
        binaries = f'bin_dirs = ["{machine.cni_binaries}"]'
    return f"""
[{images}]
  snapshotter = "{machine.snapshotter}"
  [{images}.pinned_images]
    sandbox = "{PAUSE}"
  [{images}.registry]
    config_path = "{node.cluster.config}/certs.d"

[{runtime}]
  restrict_oom_score_adj = {_boolean(machine.restrict_oom_score_adj)}
  netns_mounts_under_state_dir = true
  [{runtime}.cni]
    {binaries}
    conf_dir = "{node.state}/cni/net.d"
  [{runtime}.containerd]
    default_runtime_name = "runc"
    [{runtime}.containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [{runtime}.containerd.runtimes.runc.options]
        Root = "{node.run}/runc"
"""


def _boolean(value: bool) -> str:
    return str(value).lower()
