"""From what is used to signals: what is left of memory, disks and process ids. Pure."""

from pilothouse.services.kubelet.eviction import thresholds as known
from pilothouse.services.kubelet.eviction.thresholds import Amount
from pilothouse.services.kubelet.stats.values import Cgroup, Filesystem, NodeUsage


def observe(node: NodeUsage, kept_pids: int = 0) -> dict[str, Amount]:
    """Every signal that can be told; ``kept_pids``: processes that are not pods' to have."""
    found: dict[str, Amount] = {}
    left = node.memory_available_bytes
    if left is not None:
        found[known.MEMORY] = Amount(left, node.memory_bytes)
    pods = next((part.cgroup for part in node.systems if part.name == "pods"), None)
    if pods is not None:
        found |= _allocatable(pods)
    if node.processes_max:
        free = max(node.processes_max - kept_pids - node.processes, 0)
        found[known.PIDS] = Amount(free, node.processes_max)
    found |= _disk(node.filesystem, known.NODEFS, known.NODEFS_INODES)
    found |= _disk(node.images, known.IMAGEFS, known.IMAGEFS_INODES)
    found |= _disk(node.layers, known.CONTAINERFS, known.CONTAINERFS_INODES)
    return found


def _allocatable(pods: Cgroup) -> dict[str, Amount]:
    """Of what all pods together may have."""
    limit = pods.memory.limit_bytes
    left = pods.memory.available_bytes
    if limit is None or left is None:
        return {}
    return {known.ALLOCATABLE: Amount(left, limit)}


def _disk(place: Filesystem | None, space: str, inodes: str) -> dict[str, Amount]:
    found: dict[str, Amount] = {}
    if place is None:
        return found
    if place.available_bytes is not None and place.capacity_bytes:
        found[space] = Amount(place.available_bytes, place.capacity_bytes)
    # File systems that make inodes as they need them say that they have none.
    if place.inodes_free is not None and place.inodes:
        found[inodes] = Amount(place.inodes_free, place.inodes)
    return found
