"""Pods' cgroups, in every hierarchy there is (v1, v2, or both)."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

MOUNT = Path("/sys/fs/cgroup")
LEVELS = ("", "burstable", "besteffort")


def _hierarchies() -> list[Path]:
    if (MOUNT / "cgroup.controllers").exists():
        return [MOUNT]
    return [entry for entry in MOUNT.iterdir() if entry.is_dir() and not entry.is_symlink()]


def _pods(root: str) -> Iterator[Path]:
    for hierarchy in _hierarchies():
        for level in LEVELS:
            yield from (hierarchy / root.strip("/") / level).glob("pod*")


class NodeCgroups:
    """Below one root, as the kubelet lays them out by quality of service."""

    def __init__(self, root: str) -> None:
        self._root = root

    def pods(self) -> list[str]:
        """Uids of pods that have a cgroup."""
        return sorted({path.name.removeprefix("pod") for path in _pods(self._root)})

    def remove(self, uid: str) -> None:
        """Take the pod's cgroups away; one with processes in it stays for the next time."""
        for hierarchy in _hierarchies():
            for level in LEVELS:
                top = hierarchy / self._root.strip("/") / level / f"pod{uid}"
                if not top.is_dir():
                    continue
                below = sorted((path for path in top.rglob("*") if path.is_dir()), reverse=True)
                for path in (*below, top):
                    with contextlib.suppress(OSError):
                        path.rmdir()
