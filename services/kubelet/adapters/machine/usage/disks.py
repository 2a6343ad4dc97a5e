"""What pods keep on disks, counted no more often than it is worth."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from pilothouse.services.kubelet.adapters.machine.usage import trees
from pilothouse.services.kubelet.stats.values import Filesystem, VolumeUsage
from pilothouse.services.runtime.clock import Clock

VOLUME_SECONDS = 60.0
"""KubeletConfiguration's volumeStatsAggPeriod."""
SHARE = 20.0
"""A tree that took long is not walked again before this many times that long."""
_EMPTY = "kubernetes.io~empty-dir"
_COUNTED = frozenset({_EMPTY, "kubernetes.io~configmap", "kubernetes.io~downward-api"})
"""Volumes that count as their pod's ephemeral storage."""


@dataclass(slots=True)
class _Kept:
    found: Filesystem | None
    until: float


class Disks:
    """Below ``root``/pods/UID. Its methods wait for the disk: call them in a thread."""

    def __init__(self, root: Path, clock: Clock) -> None:
        self._pods = root / "pods"
        self._clock = clock
        self._kept: dict[Path, _Kept] = {}

    def volumes(self, uid: str) -> tuple[VolumeUsage, ...]:
        """The pod's volumes that lie in directories of their own."""
        found = []
        for plugin in _entries(self._pods / uid / "volumes"):
            for place in _entries(plugin):
                used = self.used(place, VOLUME_SECONDS)
                if used is not None:
                    local = plugin.name in _COUNTED and not place.is_mount()
                    found.append(VolumeUsage(place.name, used, local))
        return tuple(sorted(found, key=lambda item: item.name))

    def own(self, uid: str) -> Filesystem | None:
        """What the kubelet itself keeps of the pod: its hosts file."""
        return self.used(self._pods / uid / "etc-hosts", VOLUME_SECONDS)

    def used(self, place: Path, seconds: float) -> Filesystem | None:
        """A tree, or the whole file system that is mounted there; told again for ``seconds``."""
        began, now = self._clock.monotonic(), self._clock.now()
        kept = self._kept.get(place)
        if kept is not None and began < kept.until:
            return kept.found
        found = trees.filesystem(place, now) if place.is_mount() else trees.tree(place, now)
        ended = self._clock.monotonic()
        self._kept[place] = _Kept(found, ended + max(seconds, (ended - began) * SHARE))
        return found

    def forget(self, uids: Iterable[str]) -> None:
        """Keep nothing of pods but these."""
        wanted = {self._pods / uid for uid in uids}
        for place in list(self._kept):
            if place.is_relative_to(self._pods) and not wanted & set(place.parents):
                del self._kept[place]


def layer(around: Filesystem | None, used_bytes: int, inodes_used: int, now: float) -> Filesystem:
    """A container's writable layer, in the file system ``around``."""
    place = around or Filesystem(now)
    return replace(place, at=now, used_bytes=used_bytes, inodes_used=inodes_used)


def _entries(directory: Path) -> list[Path]:
    try:
        return [entry for entry in directory.iterdir() if entry.is_dir()]
    except OSError:
        return []
