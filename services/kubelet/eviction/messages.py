"""What is told of an eviction, in Kubernetes' words: users look for them. Pure."""

from decimal import Decimal

from pilothouse.services.kubelet.eviction.ranking import Tenant, container_uses
from pilothouse.services.kubelet.eviction.thresholds import RESOURCE, Amount, Threshold
from pilothouse.services.machinery import quantity

REASON = "Evicted"
_WHOLE = frozenset({"inodes", "pids"})


def low(tenant: Tenant, threshold: Threshold, amount: Amount) -> str:
    """Why this pod had to go when the node ran low."""
    resource = RESOURCE[threshold.signal]
    least = _rendered(threshold.least(amount.capacity), resource)
    available = _rendered(amount.available, resource)
    parts = [
        f"The node was low on resource: {resource}. ",
        f"Threshold quantity: {least}, available: {available}. ",
    ]
    usage = tenant.usage
    requests = {
        item.name: item.resources.requests
        for item in (*tenant.pod.spec.containers, *tenant.pod.spec.init_containers)
    }
    for container in usage.containers if usage is not None else ():
        used = container_uses(container, resource)
        request = requests.get(container.name, {}).get(resource, 0)
        if used is not None and used > quantity.ceiling(request):
            parts.append(
                f"Container {container.name} was using {_rendered(used, resource)}, request is "
                f"{quantity.canonical(request)}, has larger consumption of {resource}. "
            )
    return "".join(parts)


def refused(conditions: frozenset[str]) -> str:
    """Why a pod is not let in."""
    return f"The node had condition: [{' '.join(sorted(conditions))}]. "


def empty_dir(volume: str, limit: str) -> str:
    return f'Usage of EmptyDir volume "{volume}" exceeds the limit "{limit}". '


def pod_storage(limit: int) -> str:
    told = _rendered(limit, "")
    return f"Pod ephemeral local storage usage exceeds the total limit of containers {told}. "


def container_storage(name: str, limit: str) -> str:
    return f'Container {name} exceeded its local ephemeral storage limit "{limit}". '


def _rendered(amount: int, resource: str) -> str:
    return quantity.render(Decimal(amount), binary=resource not in _WHOLE)
