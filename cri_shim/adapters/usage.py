"""What the kernel says of cgroups and network namespaces."""

from pathlib import Path

from pilothouse.cri_shim.stats import cgroups
from pilothouse.cri_shim.stats.cgroups import Usage

MOUNT = Path("/sys/fs/cgroup")
PROC = Path("/proc")


def usage(path: str) -> Usage:
    """Of the cgroup at ``path`` of every hierarchy."""
    if (MOUNT / "cgroup.controllers").exists():
        return cgroups.usage_v2(path, _read)
    return cgroups.usage_v1(path, _read)


def net_dev(pid: int) -> str:
    """Of the network namespace that the process is in."""
    try:
        return (PROC / str(pid) / "net/dev").read_text()
    except OSError:
        return ""


def _read(path: str) -> str | None:
    try:
        return (MOUNT / path).read_text()
    except OSError:
        return None
