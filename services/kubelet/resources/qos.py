"""Quality of service: what a pod's requests and limits mean to the kernel."""

from dataclasses import dataclass

from pilothouse.services.kubelet.pod.views import Container, Pod
from pilothouse.services.machinery import quantity

CPU_PERIOD_MICROSECONDS = 100_000
SHARES_PER_CPU = 1024
SHARES_MIN = 2
SHARES_MAX = 262_144
QUOTA_MIN_MICROSECONDS = 1000

OOM_GUARANTEED = -997
OOM_BEST_EFFORT = 1000
OOM_BURSTABLE_MIN = 3
OOM_BURSTABLE_MAX = 999

_COUNTED = ("cpu", "memory")


def _amounts(amounts: dict[str, str | int | float]) -> dict[str, int]:
    parsed = {
        name: quantity.milli(amount) if name == "cpu" else quantity.ceiling(amount)
        for name, amount in amounts.items()
        if name in _COUNTED
    }
    return {name: amount for name, amount in parsed.items() if amount > 0}


def qos_class(pod: Pod) -> str:
    """``Guaranteed``, ``Burstable`` or ``BestEffort``."""
    containers = (*pod.spec.init_containers, *pod.spec.containers)
    any_set = False
    guaranteed = True
    for container in containers:
        limits = _amounts(container.resources.limits)
        requests = limits | _amounts(container.resources.requests)
        any_set = any_set or bool(requests)
        if set(limits) != set(_COUNTED) or requests != limits:
            guaranteed = False
    if not any_set:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


@dataclass(frozen=True, slots=True)
class Limits:
    """Kernel terms: shares of CPU time, quota a period (0: none), bytes of memory (0: no limit)."""

    cpu_shares: int
    cpu_quota: int
    memory_bytes: int
    oom_score_adj: int


def limits_of(pod: Pod, container: Container, node_memory_bytes: int) -> Limits:
    """What the kernel is told of one container."""
    limits = _amounts(container.resources.limits)
    requests = limits | _amounts(container.resources.requests)
    shares = _shares(_milli_cpu(container))
    quota = 0
    if "cpu" in limits:
        quota = max(limits["cpu"] * CPU_PERIOD_MICROSECONDS // 1000, QUOTA_MIN_MICROSECONDS)
    score = _oom_score_adj(qos_class(pod), requests.get("memory", 0), node_memory_bytes)
    return Limits(shares, quota, limits.get("memory", 0), score)


def pod_shares(pod: Pod) -> int:
    """Shares of CPU time of the whole pod: what its containers request together."""
    together = sum(_milli_cpu(item) for item in pod.spec.containers)
    together += sum(_milli_cpu(item) for item in pod.spec.init_containers if item.is_sidecar)
    first = max((_milli_cpu(item) for item in pod.spec.init_containers), default=0)
    return _shares(max(together, first))


def _milli_cpu(container: Container) -> int:
    requests = _amounts(container.resources.limits) | _amounts(container.resources.requests)
    return requests.get("cpu", 0)


def _shares(milli_cpu: int) -> int:
    return min(max(milli_cpu * SHARES_PER_CPU // 1000, SHARES_MIN), SHARES_MAX)


def weight_of(shares: int) -> int:
    """The same share in cgroup v2's words, 1 to 10000."""
    return 1 + (shares - SHARES_MIN) * 9999 // (SHARES_MAX - SHARES_MIN)


def _oom_score_adj(quality: str, memory_request: int, node_memory_bytes: int) -> int:
    if quality == "Guaranteed":
        return OOM_GUARANTEED
    if quality == "BestEffort":
        return OOM_BEST_EFFORT
    score = 1000 - 1000 * memory_request // max(node_memory_bytes, 1)
    return min(max(score, OOM_BURSTABLE_MIN), OOM_BURSTABLE_MAX)


def cgroup_parent(root: str, pod: Pod) -> str:
    """``<root>[/burstable|/besteffort]/pod<uid>``, for the cgroupfs driver."""
    quality = qos_class(pod)
    level = "" if quality == "Guaranteed" else f"/{quality.lower()}"
    return f"{root.rstrip('/')}{level}/pod{pod.uid}"
