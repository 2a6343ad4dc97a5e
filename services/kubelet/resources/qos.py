"""Quality of service: what a pod's requests and limits mean to the kernel."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pilothouse.services.kubelet.pod.views import Container, Pod
from pilothouse.services.kubelet.resources import amounts
from pilothouse.services.kubelet.resources.amounts import Amounts

CPU_PERIOD_MICROSECONDS = 100_000
SHARES_PER_CPU = 1024
SHARES_MIN = 2
SHARES_MAX = 262_144
QUOTA_MIN_MICROSECONDS = 1000

OOM_GUARANTEED = -997
OOM_BEST_EFFORT = 1000
OOM_BURSTABLE_MIN = 3
OOM_BURSTABLE_MAX = 999
NODE_CRITICAL = 2_000_001_000
"""From this priority on a pod is the last that the kernel ends."""
HUGE = "hugepages-"

_COUNTED = ("cpu", "memory")


@dataclass(frozen=True, slots=True)
class Terms:
    """How this node speaks to its kernel.

    ``cpu_period``: microseconds, 0 where limits of CPU are not enforced. ``swap_bytes``: of the
    node; pods get of it only where ``swaps``.
    """

    cpu_period: int = CPU_PERIOD_MICROSECONDS
    swap_bytes: int = 0
    swaps: bool = False


TERMS = Terms()


def _counted(found: Amounts) -> Amounts:
    return {name: found[name] for name in _COUNTED if found.get(name)}


def qos_class(pod: Pod) -> str:
    """``Guaranteed``, ``Burstable`` or ``BestEffort``."""
    if pod.spec.resources.requests or pod.spec.resources.limits:
        pairs = [(amounts.own(pod, "requests"), amounts.own(pod, "limits"))]
    else:
        pairs = [
            (amounts.of_container(item, "requests"), amounts.of_container(item, "limits"))
            for item in (*pod.spec.init_containers, *pod.spec.containers)
        ]
    counted = [(_counted(requests), _counted(limits)) for requests, limits in pairs]
    if not any(requests for requests, _ in counted):
        return "BestEffort"
    if all(len(limits) == len(_COUNTED) and requests == limits for requests, limits in counted):
        return "Guaranteed"
    return "Burstable"


@dataclass(frozen=True, slots=True)
class Limits:
    """Kernel terms: shares of CPU time, quota a period (0: none), bytes of memory (0: no limit).

    ``swap_bytes``: memory and swap together, 0 where nothing is said of it. ``hugepages``: bytes
    by size (``2Mi``). ``cpus`` and ``memory_nodes``: the only ones to use, empty for any.
    """

    cpu_shares: int
    cpu_quota: int
    memory_bytes: int
    oom_score_adj: int
    cpu_period: int = CPU_PERIOD_MICROSECONDS
    swap_bytes: int = 0
    hugepages: Mapping[str, int] = field(default_factory=dict)
    cpus: str = ""
    memory_nodes: str = ""


def limits_of(
    pod: Pod, container: Container, node_memory_bytes: int, terms: Terms = TERMS
) -> Limits:
    """What the kernel is told of one container; without a limit of its own it has its pod's."""
    own = amounts.of_container(container, "limits")
    limits = amounts.own(pod, "limits") | own
    requests = amounts.of_container(container, "requests")
    memory = limits.get("memory", 0)
    return Limits(
        cpu_shares=shares_for(requests.get("cpu", 0)),
        cpu_quota=_quota(limits.get("cpu", 0), terms.cpu_period),
        memory_bytes=memory,
        oom_score_adj=_oom_score_adj(pod, container, max(node_memory_bytes, 1)),
        cpu_period=terms.cpu_period or CPU_PERIOD_MICROSECONDS,
        swap_bytes=_swap(pod, requests.get("memory", 0), memory, node_memory_bytes, terms),
        hugepages=hugepages(own),
    )


@dataclass(frozen=True, slots=True)
class PodLimits:
    """A pod's own cgroup, as :class:`Limits`."""

    cpu_shares: int
    cpu_quota: int = 0
    memory_bytes: int = 0
    cpu_period: int = CPU_PERIOD_MICROSECONDS
    hugepages: Mapping[str, int] = field(default_factory=dict)


def pod_limits(pod: Pod, terms: Terms = TERMS) -> PodLimits:
    """What the kernel is told of the pod as a whole: limits where no part of it is without."""
    requests, limits = amounts.of_pod(pod, "requests"), amounts.of_pod(pod, "limits")
    quality = qos_class(pod)
    quota = limits.get("cpu", 0) if amounts.every_has(pod, "cpu") else 0
    memory = limits.get("memory", 0) if amounts.every_has(pod, "memory") else 0
    return PodLimits(
        cpu_shares=SHARES_MIN if quality == "BestEffort" else shares_for(requests.get("cpu", 0)),
        cpu_quota=_quota(quota, terms.cpu_period),
        memory_bytes=memory,
        cpu_period=terms.cpu_period or CPU_PERIOD_MICROSECONDS,
        hugepages=hugepages(limits),
    )


def hugepages(limits: Amounts) -> dict[str, int]:
    """Bytes by page size: of ``hugepages-2Mi`` those under ``2Mi``."""
    return {
        name.removeprefix(HUGE): amount for name, amount in limits.items() if name.startswith(HUGE)
    }


def _quota(milli_cpu: int, period: int) -> int:
    if not milli_cpu or not period:
        return 0
    return max(milli_cpu * period // 1000, QUOTA_MIN_MICROSECONDS)


def shares_for(milli_cpu: int) -> int:
    """Shares of CPU time, as version 1 counts them."""
    return min(max(milli_cpu * SHARES_PER_CPU // 1000, SHARES_MIN), SHARES_MAX)


def weight_of(shares: int) -> int:
    """The same share in cgroup v2's words, 1 to 10000."""
    return 1 + (shares - SHARES_MIN) * 9999 // (SHARES_MAX - SHARES_MIN)


def _swap(pod: Pod, request: int, limit: int, node_memory_bytes: int, terms: Terms) -> int:
    """Memory and swap together. Only Burstable pods swap, by their share of the memory."""
    if not terms.swap_bytes or not limit:
        return 0
    may = terms.swaps and qos_class(pod) == "Burstable" and request and request != limit
    if not may or pod.spec.priority >= NODE_CRITICAL:
        return limit
    return limit + request * terms.swap_bytes // max(node_memory_bytes, 1)


def _oom_score_adj(pod: Pod, container: Container, node_memory_bytes: int) -> int:
    """Whom the kernel ends first when memory runs out: the higher, the sooner."""
    quality = qos_class(pod)
    if quality == "Guaranteed" or pod.spec.priority >= NODE_CRITICAL:
        return OOM_GUARANTEED
    if quality == "BestEffort":
        return OOM_BEST_EFFORT
    score = _score(pod, container, node_memory_bytes)
    if container in pod.spec.init_containers and container.is_sidecar:
        # A sidecar outlives those that it serves.
        others = (_score(pod, item, node_memory_bytes) for item in pod.spec.containers)
        score = min(score, *others)
    return min(max(score, OOM_BURSTABLE_MIN), OOM_BURSTABLE_MAX)


def _score(pod: Pod, container: Container, node_memory_bytes: int) -> int:
    request = amounts.of_container(container, "requests").get("memory", 0)
    whole = amounts.own(pod, "requests").get("memory", 0)
    if whole:
        # What the pod has beyond its containers' requests is everybody's in equal parts.
        together = amounts.of_containers(pod, "requests").get("memory", 0)
        sidecars = sum(item.is_sidecar for item in pod.spec.init_containers)
        request += max(whole - together, 0) // (len(pod.spec.containers) + sidecars)
    return 1000 - 1000 * request // node_memory_bytes


def cgroup_parent(root: str, pod: Pod) -> str:
    """``<root>[/burstable|/besteffort]/pod<uid>``, for the cgroupfs driver."""
    quality = qos_class(pod)
    level = "" if quality == "Guaranteed" else f"/{quality.lower()}"
    return f"{root.rstrip('/')}{level}/pod{pod.uid}"
