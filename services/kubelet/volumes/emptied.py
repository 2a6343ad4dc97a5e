"""Size and page size of an emptyDir that lives in memory. Pure."""

from collections.abc import Mapping

from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.kubelet.volumes.sources import EmptyDirSource
from pilothouse.services.machinery import quantity
from pilothouse.services.machinery.errors import BadRequest

HUGE_PAGES = "HugePages"
_RESOURCE = "hugepages-"


def memory_bytes(pod: Pod, source: EmptyDirSource, allocatable: Mapping[str, str]) -> int:
    """The least of its own limit, the pod's limit of memory and what the node can give."""
    most = [quantity.ceiling(allocatable["memory"])] if "memory" in allocatable else []
    limits = [item.resources.limits.get("memory") for item in pod.spec.containers]
    if limits and all(limit is not None for limit in limits):
        most.append(sum(quantity.ceiling(limit) for limit in limits if limit is not None))
    if source.size_limit is not None:
        most.append(quantity.ceiling(source.size_limit))
    return min((amount for amount in most if amount > 0), default=0)


def huge_page_size(pod: Pod, medium: str) -> str:
    """``2Mi``: what the medium says, or the one size that the pod asks for."""
    if medium.startswith(f"{HUGE_PAGES}-"):
        return medium.removeprefix(f"{HUGE_PAGES}-")
    sizes = {
        name.removeprefix(_RESOURCE)
        for item in (*pod.spec.init_containers, *pod.spec.containers)
        for name in item.resources.requests
        if name.startswith(_RESOURCE)
    }
    if len(sizes) != 1:
        found = ", ".join(sorted(sizes)) or "none"
        raise BadRequest(f"medium HugePages needs a pod with one size of pages, found {found}")
    return sizes.pop()
