"""When too little is left: thresholds of KubeletConfiguration, hard and soft. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from pilothouse.services.kubelet.configuration.fields import KubeletConfiguration
from pilothouse.services.machinery import durations, quantity

MEMORY, ALLOCATABLE = "memory.available", "allocatableMemory.available"
PIDS = "pid.available"
NODEFS, NODEFS_INODES = "nodefs.available", "nodefs.inodesFree"
IMAGEFS, IMAGEFS_INODES = "imagefs.available", "imagefs.inodesFree"
CONTAINERFS, CONTAINERFS_INODES = "containerfs.available", "containerfs.inodesFree"
DISKS = frozenset({
    NODEFS, NODEFS_INODES, IMAGEFS, IMAGEFS_INODES, CONTAINERFS, CONTAINERFS_INODES
})  # fmt: skip

CONDITION = {
    MEMORY: "MemoryPressure",
    ALLOCATABLE: "MemoryPressure",
    PIDS: "PIDPressure",
    **dict.fromkeys(DISKS, "DiskPressure"),
}
RESOURCE = {
    MEMORY: "memory",
    ALLOCATABLE: "memory",
    PIDS: "pids",
    NODEFS: "ephemeral-storage",
    IMAGEFS: "ephemeral-storage",
    CONTAINERFS: "ephemeral-storage",
    NODEFS_INODES: "inodes",
    IMAGEFS_INODES: "inodes",
    CONTAINERFS_INODES: "inodes",
}
_PERCENT = 100


class Amount(NamedTuple):
    """Of one signal: what is left, of how much."""

    available: int
    capacity: int


Signals = Mapping[str, Amount]


@dataclass(frozen=True, slots=True)
class Threshold:
    """``floor``: text, ``100Mi`` or ``10%``; ``reclaim``: how much more than it is to be left."""

    signal: str
    floor: str
    grace_seconds: float = 0.0
    reclaim: str = "0"

    @property
    def is_hard(self) -> bool:
        """Whether it counts at once, and pods get no time to end."""
        return not self.grace_seconds

    def least(self, capacity: int) -> int:
        """What must be left of this capacity."""
        return _share(self.floor, capacity)

    def is_met(self, amount: Amount, *, reclaiming: bool = False) -> bool:
        """Whether too little is left; once it was so, until enough is reclaimed."""
        least = self.least(amount.capacity)
        if reclaiming:
            least += _share(self.reclaim, amount.capacity)
        return amount.available < least


def configured(kubelet: KubeletConfiguration) -> tuple[Threshold, ...]:
    """All that are set; a hard threshold of nothing at all is none."""
    reclaim = kubelet.eviction_minimum_reclaim
    hard = dict(kubelet.eviction_hard)
    if MEMORY in hard and "pods" in kubelet.enforce_node_allocatable:
        hard.setdefault(ALLOCATABLE, hard[MEMORY])
    found = [
        Threshold(signal, floor, 0.0, reclaim.get(signal, "0"))
        for signal, floor in hard.items()
        if floor not in ("0%", "100%", "0")
    ]
    for signal, floor in kubelet.eviction_soft.items():
        grace = durations.parse(kubelet.eviction_soft_grace_period[signal])
        found.append(Threshold(signal, floor, grace, reclaim.get(signal, "0")))
    return tuple(found)


def _share(text: str, capacity: int) -> int:
    if text.endswith("%"):
        return int(capacity * float(text[:-1]) / _PERCENT)
    return quantity.ceiling(text)
