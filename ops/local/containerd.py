"""One containerd a node: which, its directories, and the images it starts with."""

import asyncio
import re
import shutil
import subprocess
from pathlib import Path

from pilothouse.ops.images.recipes import PAUSE
from pilothouse.ops.local import containerd_toml
from pilothouse.ops.local.cluster import DEBIANS, Node

CNI_BINARIES = Path("/usr/lib/cni")
NAMESPACE = "k8s.io"
CAP_SYS_RESOURCE = 24


def prepare(node: Node) -> Path:
    """Make the node's directories and write its configuration; the configuration's path."""
    for directory in ("containerd/tmp", "cni/net.d", "cni/cache", "kubelet/pods", "manifests"):
        (node.state / directory).mkdir(parents=True, exist_ok=True)
    node.run.mkdir(parents=True, exist_ok=True, mode=0o711)
    path = node.state / "containerd.toml"
    machine = containerd_toml.Machine(
        version=version(node.cluster.containerd),
        snapshotter=snapshotter(node.state),
        restrict_oom_score_adj=not may_lower_oom_score(),
        cni_binaries=CNI_BINARIES,
    )
    text = containerd_toml.configuration(node, machine)
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
        str(Path(node.cluster.containerd).with_name("ctr")),
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


def find() -> str:
    """The containerd that a new cluster takes: the first in PATH, else Debian's place of it."""
    return str(Path(shutil.which("containerd") or DEBIANS).absolute())


def version(program: str) -> tuple[int, int]:
    """Of this containerd, as (1, 6); RuntimeError when it can not be told."""
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    except OSError as error:
        raise RuntimeError(f"{program}: {error.strerror}") from None
    numbers = re.search(r" v?(\d+)\.(\d+)\.", said.stdout)
    if numbers is None:
        raise RuntimeError(f"{program} --version says {(said.stdout + said.stderr).strip()!r}")
    return int(numbers[1]), int(numbers[2])


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
