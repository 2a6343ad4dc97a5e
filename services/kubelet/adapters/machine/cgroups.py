"""Pods' cgroups, in every hierarchy there is (v1, v2, or both)."""

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.kubelet.resources import cgroup_files, qos
from pilothouse.services.kubelet.resources.qos import TERMS, PodLimits, Terms

MOUNT = Path("/sys/fs/cgroup")
LEVELS = ("", "burstable", "besteffort")
PROCESSES = "cgroup.procs"
CONTROLLERS, CONTROL = "cgroup.controllers", "cgroup.subtree_control"
V1_SHARES, V2_WEIGHT = "cpu.shares", "cpu.weight"


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """One mounted tree. ``sizes``: of huge pages, in the kernel's words."""

    path: Path
    controllers: frozenset[str]
    is_unified: bool
    sizes: tuple[str, ...] = ()


def hierarchies(mount: Path = MOUNT) -> list[Hierarchy]:
    """Every one, those without controllers too."""
    if (mount / CONTROLLERS).exists():
        return [_hierarchy(mount)]
    return [
        _hierarchy(entry) for entry in mount.iterdir() if entry.is_dir() and not entry.is_symlink()
    ]


def is_v2(mount: Path = MOUNT) -> bool:
    """Whether every controller is in the one tree of version 2."""
    return (mount / CONTROLLERS).exists()


def exists(cgroup: str, mount: Path = MOUNT) -> bool:
    """Whether there is such a cgroup, where CPU is shared out."""
    trees = (tree for tree in hierarchies(mount) if "cpu" in tree.controllers)
    return any((tree.path / cgroup.strip("/")).is_dir() for tree in trees)


def _hierarchy(path: Path) -> Hierarchy:
    unified = path / CONTROLLERS
    is_unified = unified.exists()
    names = unified.read_text().split() if is_unified else path.name.split(",")
    sizes = {
        file.name.split(".")[1] for file in path.glob("hugetlb.*.*") if "rsvd" not in file.name
    }
    return Hierarchy(path, frozenset(names), is_unified, tuple(sorted(sizes)))


class NodeCgroups:
    """Below one root, as the kubelet lays them out by quality of service.

    The CPU shares of the Burstable level are the sum of its pods' own, so that what a pod requests
    counts the same wherever it is; BestEffort gets what others leave.
    """

    def __init__(
        self, root: str, terms: Terms = TERMS, pids_max: int = -1, mount: Path = MOUNT
    ) -> None:
        """``pids_max``: processes a pod; below 1 there is no limit."""
        self._root = root.strip("/")
        self._terms = terms
        self._pids_max = pids_max
        self._mount = mount
        self._known: list[Hierarchy] = []
        self._shares: dict[str, int] = {}
        self._told: dict[Path, int] = {}

    def _every(self) -> list[Hierarchy]:
        """Every hierarchy; looked for once: what is mounted stays."""
        if not self._known:
            self._known = hierarchies(self._mount)
        return self._known

    def _trees(self) -> Iterator[Hierarchy]:
        """Those in which pods are limited: of version 2 only one that has it all, as runc does."""
        for tree in self._every():
            wanted = {"cpu", "memory", "pids"} | (set() if tree.is_unified else {"hugetlb"})
            if tree.controllers & wanted:
                yield tree

    def pods(self) -> list[str]:
        """Uids of pods that have a cgroup."""
        found = (
            path
            for tree in self._every()
            for level in LEVELS
            for path in (tree.path / self._root / level).glob("pod*")
        )
        return sorted({path.name.removeprefix("pod") for path in found})

    def enforce(self, limits: PodLimits, pids_max: int) -> None:
        """Hold all pods together to what the node can give."""
        for tree in self._trees():
            # Where cgroups can not be written, pods still run, with the limits of the runtime.
            with contextlib.suppress(OSError):
                directory = self._make(tree, Path(self._root))
                _write(tree, directory, limits, pids_max, keep_huge=True)

    def prepare(self, pod: Pod) -> None:
        """Give the pod its share of CPU time and its limits."""
        limits = qos.pod_limits(pod, self._terms)
        parent = Path(qos.cgroup_parent(self._root, pod))
        self._shares[parent.name] = limits.cpu_shares
        for tree in self._trees():
            with contextlib.suppress(OSError):
                directory = self._make(tree, parent)
                _write(tree, directory, limits, self._pids_max)
                self._share_levels(tree)

    def memory_used(self, pod: Pod, container_id: str = "") -> int:
        """Bytes that the pod, or one container of it, has now; 0 where nobody can tell."""
        below = Path(qos.cgroup_parent(self._root, pod)) / container_id
        for tree in self._trees():
            name = "memory.current" if tree.is_unified else "memory.usage_in_bytes"
            with contextlib.suppress(OSError, ValueError):
                return int((tree.path / below / name).read_text())
        return 0

    def kill(self, uid: str, container_id: str) -> None:
        """End what runs in one container of the pod, whatever the runtime knows of that."""
        for tree in self._every():
            for level in LEVELS:
                inside = tree.path / self._root / level / f"pod{uid}" / container_id / PROCESSES
                if not inside.exists():
                    continue
                for pid in inside.read_text().split():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(int(pid), signal.SIGKILL)

    def remove(self, uid: str) -> None:
        """Take the pod's cgroups away; one with processes in it stays for the next time."""
        self._shares.pop(f"pod{uid}", None)
        for tree in self._every():
            for level in LEVELS:
                top = tree.path / self._root / level / f"pod{uid}"
                # os.walk tells directories from files without a look at each of them.
                for path, _, _ in os.walk(top, topdown=False):
                    with contextlib.suppress(OSError):
                        Path(path).rmdir()
            with contextlib.suppress(OSError):
                self._share_levels(tree)

    def _make(self, tree: Hierarchy, below: Path) -> Path:
        """The directory; in version 2 every level down to it hands the controllers on."""
        directory = tree.path / below
        directory.mkdir(parents=True, exist_ok=True)
        if tree.is_unified:
            wanted = " ".join(f"+{name}" for name in cgroup_files.CONTROLLERS
                              if name in tree.controllers)  # fmt: skip
            for depth in range(len(below.parts)):
                (tree.path.joinpath(*below.parts[:depth]) / CONTROL).write_text(wanted)
        return directory

    def _share_levels(self, tree: Hierarchy) -> None:
        if "cpu" not in tree.controllers:
            return
        for level in LEVELS[1:]:
            directory = tree.path / self._root / level
            if not directory.is_dir():
                continue
            together = qos.SHARES_MIN
            if level == "burstable":
                together = sum(self._shares_of(tree, directory, name) for name in _pods(directory))
            together = min(max(together, qos.SHARES_MIN), qos.SHARES_MAX)
            if self._told.get(directory) != together:
                _write_shares(tree, directory, together)
                self._told[directory] = together

    def _shares_of(self, tree: Hierarchy, directory: Path, name: str) -> int:
        """A pod's shares, read from its cgroup when an earlier kubelet made that."""
        if name not in self._shares:
            self._shares[name] = _read_shares(tree, directory / name)
        return self._shares[name]


def _write(
    tree: Hierarchy, directory: Path, limits: PodLimits, pids_max: int, *, keep_huge: bool = False
) -> None:
    """What this tree has files for; a limit that is refused leaves the others in force."""
    sizes = () if keep_huge else tree.sizes
    make = cgroup_files.v2 if tree.is_unified else cgroup_files.v1
    for name, text in make(limits, pids_max, sizes).items():
        file = directory / name
        if name.partition(".")[0] in tree.controllers and file.exists():
            with contextlib.suppress(OSError):
                file.write_text(text)


def _pods(directory: Path) -> list[str]:
    return [path.name for path in directory.glob("pod*")]


def _write_shares(tree: Hierarchy, directory: Path, shares: int) -> None:
    if tree.is_unified:
        (directory / V2_WEIGHT).write_text(str(qos.weight_of(shares)))
    else:
        (directory / V1_SHARES).write_text(str(shares))


def _read_shares(tree: Hierarchy, directory: Path) -> int:
    name = V2_WEIGHT if tree.is_unified else V1_SHARES
    return cgroup_files.shares_of((directory / name).read_text(), is_weight=tree.is_unified)
