"""Who goes first: who uses more than he asked for, is less important, and uses the most. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pilothouse.services.kubelet.eviction import thresholds as known
from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.kubelet.resources import amounts
from pilothouse.services.kubelet.stats.values import ContainerUsage, Filesystem, PodUsage

SYSTEM_CRITICAL = 2_000_000_000
CONFIG_SOURCE = "kubernetes.io/config.source"
CONFIG_MIRROR = "kubernetes.io/config.mirror"


@dataclass(frozen=True, slots=True)
class Tenant:
    """A pod with what it uses; ``usage`` None: nobody can tell."""

    pod: Pod
    usage: PodUsage | None = None


def is_critical(pod: Pod) -> bool:
    """Whether it is never evicted: static, or as important as the system."""
    annotations = pod.metadata.annotations
    source = annotations.get(CONFIG_SOURCE, "api")
    return source != "api" or CONFIG_MIRROR in annotations or pod.spec.priority >= SYSTEM_CRITICAL


def rank(signal: str, tenants: Sequence[Tenant]) -> list[Tenant]:
    """First who is to go first. Ties keep their order."""
    key = _KEYS.get(known.RESOURCE[signal], _by_processes)
    return sorted(tenants, key=key)


Key = tuple[bool, bool, int, int]


def _by_memory(tenant: Tenant) -> Key:
    request = amounts.of_pod(tenant.pod, "requests").get("memory", 0)
    return _key(tenant, _memory(tenant), request)


def _by_disk(tenant: Tenant) -> Key:
    request = amounts.of_pod(tenant.pod, "requests").get("ephemeral-storage", 0)
    return _key(tenant, _disk(tenant, lambda place: place.used_bytes), request)


def _by_inodes(tenant: Tenant) -> Key:
    return _key(tenant, _disk(tenant, lambda place: place.inodes_used), 0)


def _key(tenant: Tenant, used: int | None, request: int) -> Key:
    """Unknown usage first, then who is above his request, then by priority, then by excess."""
    over = 0 if used is None else used - request
    return used is not None, over <= 0, tenant.pod.spec.priority, -over


def _by_processes(tenant: Tenant) -> Key:
    usage = tenant.usage
    count = 0
    if usage is not None and usage.part.cgroup is not None:
        count = usage.part.cgroup.processes
    return False, False, tenant.pod.spec.priority, -count


_KEYS: dict[str, Callable[[Tenant], Key]] = {
    "memory": _by_memory,
    "ephemeral-storage": _by_disk,
    "inodes": _by_inodes,
    "pids": _by_processes,
}


def _memory(tenant: Tenant) -> int | None:
    if tenant.usage is None or tenant.usage.part.cgroup is None:
        return None
    return tenant.usage.part.cgroup.memory.working_set_bytes


def _disk(tenant: Tenant, amount: Callable[[Filesystem], int | None]) -> int | None:
    if tenant.usage is None:
        return None
    usage = tenant.usage
    places = [volume.filesystem for volume in usage.volumes if volume.local]
    places += [
        place
        for item in usage.containers
        for place in (item.rootfs, item.logs)
        if place is not None
    ]
    return sum(amount(place) or 0 for place in places)


def container_uses(container: ContainerUsage, resource: str) -> int | None:
    """What one container has of a resource; None where that is not told."""
    if resource == "memory":
        cgroup = container.part.cgroup
        return None if cgroup is None else cgroup.memory.working_set_bytes
    if resource == "ephemeral-storage":
        places = [place for place in (container.rootfs, container.logs) if place is not None]
        return sum(place.used_bytes or 0 for place in places) if places else None
    return None
