"""One containerd a node: its configuration, and the images it starts with."""

import asyncio
import json
from pathlib import Path

from pilothouse.ops.images.recipes import PAUSE
from pilothouse.ops.local.cluster import CRI_SHIM, Node

CNI_BINARIES = Path("/usr/lib/cni")
NAMESPACE = "k8s.io"
CAP_SYS_RESOURCE = 24
CRI_PLUGIN = "io.containerd.grpc.v1.cri"

# Off: what no pod of ours uses. The opt plugin would make /opt/containerd.
DISABLED = (
    "io.containerd.internal.v1.opt",
    "io.containerd.internal.v1.restart",
    "io.containerd.snapshotter.v1.aufs",
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.zfs",
    "io.containerd.tracing.processor.v1.otlp",
)


def configuration(node: Node, *, snapshotter: str, restrict_oom_score_adj: bool) -> str:
    """The node's ``config.toml``; nothing of it touches a path outside the node's directories."""
    restrict = str(restrict_oom_score_adj).lower()
    cri = f'plugins."{CRI_PLUGIN}"'
    own = node.cluster.container_runtime == CRI_SHIM
    disabled = [*DISABLED, CRI_PLUGIN] if own else list(DISABLED)
    return f"""version = 2
root = "{node.state}/containerd"
state = "{node.run}/containerd"
temp = "{node.state}/containerd/tmp"
disabled_plugins = {json.dumps(disabled)}

[grpc]
  address = "{node.containerd_socket}"

[{cri}]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = {restrict}
  netns_mounts_under_state_dir = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  [{cri}.cni]
    bin_dir = "{CNI_BINARIES}"
    conf_dir = "{node.state}/cni/net.d"
  [{cri}.registry]
    config_path = "{node.cluster.config}/certs.d"
  [{cri}.containerd]
    snapshotter = "{snapshotter}"
    default_runtime_name = "runc"
    [{cri}.containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [{cri}.containerd.runtimes.runc.options]
        Root = "{node.run}/runc"
"""


def prepare(node: Node) -> Path:
    """Make the node's directories and write its configuration; the configuration's path."""
    for directory in ("containerd/tmp", "cni/net.d", "cni/cache", "kubelet/pods", "manifests"):
        (node.state / directory).mkdir(parents=True, exist_ok=True)
    node.run.mkdir(parents=True, exist_ok=True, mode=0o711)
    path = node.state / "containerd.toml"
    text = configuration(
        node,
        snapshotter=snapshotter(node.state),
        restrict_oom_score_adj=not may_lower_oom_score(),
    )
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
    return path


async def import_images(node: Node, archive: Path, *, digest: str) -> bool:
    """Load the archive into the node's containerd unless it has it; whether it was loaded.

    ``digest`` names the archive's content. RuntimeError with ctr's words when containerd refuses.
    """
    stamp = node.state / "images.stamp"
    if stamp.exists() and stamp.read_text() == digest:
        return False
    await _ctr(node, "images", "import", "--snapshotter", snapshotter(node.state), str(archive))
    await _ctr(node, "images", "label", PAUSE, "io.cri-containerd.pinned=pinned")
    stamp.write_text(digest)
    return True


async def _ctr(node: Node, *arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(
        "ctr",
        "--address",
        str(node.containerd_socket),
        "--namespace",
        NAMESPACE,
        *arguments,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"ctr {' '.join(arguments)}: {errors.decode().strip()}")


def may_lower_oom_score() -> bool:
    """Whether this process has CAP_SYS_RESOURCE, without which runc can not set scores."""
    status = dict(
        line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines()
    )
    return bool(int(status["CapEff"], 16) >> CAP_SYS_RESOURCE & 1)


def snapshotter(state: Path) -> str:
    """Overlay on an ordinary disk; plain copies where the directory is itself an overlay."""
    best, kind = "", ""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        point = left.split()[4]
        if state.is_relative_to(point) and len(point) >= len(best):
            best, kind = point, right.split()[0]
    return "native" if kind == "overlay" else "overlayfs"
