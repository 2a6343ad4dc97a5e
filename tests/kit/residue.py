"""What pods leave on a node: counted before and after, it must be the same."""

import asyncio
import subprocess
import time
from pathlib import Path

from kit.containerd import Containerd

HIERARCHIES = Path("/sys/fs/cgroup")


def residue(containerd: Containerd) -> dict[str, list[str]]:
    """Everything there is of pods on this node, by kind."""
    root = containerd.root
    links = subprocess.run(
        ["ip", "-n", containerd.netns, "-brief", "link"], capture_output=True, text=True, check=True
    ).stdout
    points = Path("/proc/self/mountinfo").read_text().splitlines()
    return {
        "containers": containerd.ctr("containers", "list", "-q").stdout.split(),
        "tasks": containerd.ctr("tasks", "list", "-q").stdout.split(),
        "shims": [str(pid) for pid in containerd.shims()],
        "mounts": [line.split()[4] for line in points if f" {root}/" in line],
        "namespaces": [str(path) for path in root.glob("state/**/netns/*")],
        "addresses": [str(path) for path in root.glob("cni/cache/networks/**/10.*")],
        "interfaces": [line.split()[0] for line in links.splitlines() if line.startswith("veth")],
        "cgroups": _cgroups(containerd),
        "volumes": [str(path) for path in (root / "kubelet").glob("pods/*")],
        "logs": [str(path) for path in (root / "logs").glob("*")],
        "snapshots": containerd.ctr("snapshots", "list").stdout.splitlines(),
    }


def _cgroups(containerd: Containerd) -> list[str]:
    """The pods' own; those of their classes stay."""
    found = []
    for hierarchy in HIERARCHIES.iterdir():
        top = hierarchy / containerd.cgroup_root.strip("/")
        found += [str(path) for path in top.rglob("*") if path.is_dir() and "pod" in str(path)]
    return found


def beyond(before: dict[str, list[str]], after: dict[str, list[str]]) -> dict[str, list[str]]:
    """What ``after`` has more than ``before``; empty when nothing leaked."""
    more = {kind: sorted(set(after[kind]) - set(before[kind])) for kind in after}
    return {kind: items for kind, items in more.items() if items}


async def until_nothing_is_left(
    containerd: Containerd, before: dict[str, list[str]], seconds: float = 20.0
) -> None:
    """Processes and cgroups take a moment to go; what stays is named."""
    deadline = time.monotonic() + seconds
    while (left := beyond(before, residue(containerd))) and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    assert not left
