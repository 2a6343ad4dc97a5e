"""Pods that keep more on the node's disk than they may. Pure."""

from pilothouse.services.kubelet.eviction import messages
from pilothouse.services.kubelet.eviction.ranking import Tenant, container_uses
from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.kubelet.resources import amounts
from pilothouse.services.kubelet.stats.values import PodUsage
from pilothouse.services.machinery import quantity

STORAGE = "ephemeral-storage"


def is_bounded(pod: Pod) -> bool:
    """Whether there is anything to look at: a limit of storage or of an emptyDir."""
    limited = any(
        STORAGE in item.resources.limits
        for item in (*pod.spec.containers, *pod.spec.init_containers)
    )
    return limited or any(
        volume.empty_dir is not None and volume.empty_dir.size_limit for volume in pod.spec.volumes
    )


def excess(tenant: Tenant) -> tuple[str, str]:
    """By which signal it must go, and why; both empty when it keeps within its limits."""
    if tenant.usage is not None:
        for signal, judge in _JUDGES:
            why = judge(tenant.pod, tenant.usage)
            if why:
                return signal, why
    return "", ""


def _volumes(pod: Pod, usage: PodUsage) -> str:
    used = {volume.name: volume.filesystem.used_bytes or 0 for volume in usage.volumes}
    for volume in pod.spec.volumes:
        limit = volume.empty_dir.size_limit if volume.empty_dir is not None else None
        if limit and 0 < quantity.ceiling(limit) < used.get(volume.name, 0):
            return messages.empty_dir(volume.name, quantity.canonical(limit))
    return ""


def _whole(pod: Pod, usage: PodUsage) -> str:
    limit = amounts.of_pod(pod, "limits").get(STORAGE)
    used = (usage.ephemeral.used_bytes or 0) if usage.ephemeral is not None else 0
    if limit is None or used <= limit:
        return ""
    return messages.pod_storage(limit)


def _containers(pod: Pod, usage: PodUsage) -> str:
    limits = {item.name: item.resources.limits.get(STORAGE) for item in pod.spec.containers}
    for container in usage.containers:
        limit = limits.get(container.name)
        if limit and (container_uses(container, STORAGE) or 0) > quantity.ceiling(limit) > 0:
            return messages.container_storage(container.name, quantity.canonical(limit))
    return ""


_JUDGES = (
    ("emptydirfs.limit", _volumes),
    ("ephemeralpodfs.limit", _whole),
    ("ephemeralcontainerfs.limit", _containers),
)
