"""Pods' cgroups, in every hierarchy there is (v1, v2, or both)."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.kubelet.resources import qos

MOUNT = Path("/sys/fs/cgroup")
LEVELS = ("", "burstable", "besteffort")
PROCESSES = "cgroup.procs"
V1_SHARES, V2_WEIGHT = "cpu.shares", "cpu.weight"


def _hierarchies() -> list[Path]:
    if (MOUNT / "cgroup.controllers").exists():
        return [MOUNT]
    return [entry for entry in MOUNT.iterdir() if entry.is_dir() and not entry.is_symlink()]


def _pods(root: str) -> Iterator[Path]:
    for hierarchy in _hierarchies():
        for level in LEVELS:
            yield from (hierarchy / root.strip("/") / level).glob("pod*")


class NodeCgroups:
    """Below one root, as the kubelet lays them out by quality of service.

    The CPU shares of a level are the sum of its pods' own, so that what a pod requests counts the
    same wherever it is.
    """

    def __init__(self, root: str) -> None:
        self._root = root.strip("/")

    def pods(self) -> list[str]:
        """Uids of pods that have a cgroup."""
        return sorted({path.name.removeprefix("pod") for path in _pods(self._root)})

    def prepare(self, pod: Pod) -> None:
        """Give the pod its share of CPU time."""
        shares = qos.pod_shares(pod)
        parent = Path(qos.cgroup_parent(self._root, pod))
        for hierarchy in _hierarchies():
            # Where cgroups can not be written, pods still run, with the limits of the runtime.
            with contextlib.suppress(OSError):
                if not _knows_cpu(hierarchy):
                    continue
                directory = hierarchy / parent
                directory.mkdir(parents=True, exist_ok=True)
                _delegate(hierarchy, directory.parent)
                _write_shares(directory, shares)
                self._share_levels(hierarchy)

    def kill(self, uid: str, container_id: str) -> None:
        """End what runs in one container of the pod, whatever the runtime knows of that."""
        for hierarchy in _hierarchies():
            for level in LEVELS:
                processes = hierarchy / self._root / level / f"pod{uid}" / container_id / PROCESSES
                if not processes.exists():
                    continue
                for pid in processes.read_text().split():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(int(pid), signal.SIGKILL)

    def remove(self, uid: str) -> None:
        """Take the pod's cgroups away; one with processes in it stays for the next time."""
        for hierarchy in _hierarchies():
            for level in LEVELS:
                top = hierarchy / self._root / level / f"pod{uid}"
                if not top.is_dir():
                    continue
                below = sorted((path for path in top.rglob("*") if path.is_dir()), reverse=True)
                for path in (*below, top):
                    with contextlib.suppress(OSError):
                        path.rmdir()
            with contextlib.suppress(OSError):
                self._share_levels(hierarchy)

    def _share_levels(self, hierarchy: Path) -> None:
        for level in LEVELS[1:]:
            directory = hierarchy / self._root / level
            if _knows_cpu(hierarchy) and directory.is_dir():
                together = sum(_read_shares(path) for path in directory.glob("pod*"))
                _write_shares(directory, min(max(together, qos.SHARES_MIN), qos.SHARES_MAX))


def _knows_cpu(hierarchy: Path) -> bool:
    if (hierarchy / V1_SHARES).exists():
        return True
    controllers = hierarchy / "cgroup.controllers"
    return controllers.exists() and "cpu" in controllers.read_text().split()


def _delegate(hierarchy: Path, directory: Path) -> None:
    """Version 2: let every level down to ``directory`` hand on the CPU controller."""
    if (hierarchy / V1_SHARES).exists():
        return
    below = directory.relative_to(hierarchy).parts
    for depth in range(len(below) + 1):
        path = hierarchy.joinpath(*below[:depth])
        (path / "cgroup.subtree_control").write_text("+cpu")


def _write_shares(directory: Path, shares: int) -> None:
    if (directory / V1_SHARES).exists():
        (directory / V1_SHARES).write_text(str(shares))
    else:
        (directory / V2_WEIGHT).write_text(str(qos.weight_of(shares)))


def _read_shares(directory: Path) -> int:
    """The shares of a cgroup; of version 2's weight, as many as would have made it."""
    v1 = directory / V1_SHARES
    if v1.exists():
        return int(v1.read_text())
    weight = int((directory / V2_WEIGHT).read_text())
    return qos.SHARES_MIN + (weight - 1) * (qos.SHARES_MAX - qos.SHARES_MIN) // 9999
