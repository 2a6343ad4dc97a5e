"""What a node has, what of it is kept from pods, and what is left to them. Pure.

::

    capacity = kubeReserved + systemReserved + evictionHard + allocatable
"""

from collections.abc import Mapping

from pilothouse.services.kubelet.configuration.fields import KubeletConfiguration
from pilothouse.services.kubelet.resources import amounts, cpusets
from pilothouse.services.kubelet.resources.amounts import Amounts
from pilothouse.services.kubelet.resources.qos import PodLimits, Terms, shares_for
from pilothouse.services.machinery import quantity

MICROSECONDS = 1_000_000
_SIGNALS = {"memory.available": "memory", "nodefs.available": "ephemeral-storage"}


def reserved(kubelet: KubeletConfiguration, capacity: Mapping[str, int]) -> Amounts:
    """What pods do not get, by resource; ``cpu`` in thousandths."""
    kept = system(kubelet)
    for signal, name in _SIGNALS.items():
        threshold = kubelet.eviction_hard.get(signal)
        if threshold is not None:
            share = _bytes(threshold, capacity.get(name, 0))
            kept[name] = kept.get(name, 0) + share
    return kept


def system(kubelet: KubeletConfiguration) -> Amounts:
    """What is for the system and for Kubernetes itself."""
    kept = amounts.parsed(kubelet.kube_reserved)
    for name, amount in amounts.parsed(kubelet.system_reserved).items():
        kept[name] = kept.get(name, 0) + amount
    if kubelet.reserved_system_cpus:
        kept["cpu"] = len(cpusets.parse(kubelet.reserved_system_cpus)) * 1000
    return kept


def left(capacity: Mapping[str, int], kept: Mapping[str, int]) -> Amounts:
    """Allocatable: what is left, not less than nothing."""
    return {name: max(amount - kept.get(name, 0), 0) for name, amount in capacity.items()}


def rendered(found: Mapping[str, int]) -> dict[str, str]:
    """As the Node says it: memory in Ki."""
    told = {}
    for name, amount in sorted(found.items()):
        if name == "cpu":
            told[name] = quantity.canonical(f"{amount}m")
        elif name == "memory":
            told[name] = f"{amount // 1024}Ki"
        else:
            told[name] = quantity.canonical(_binary(name, amount))
    return told


def _binary(name: str, amount: int) -> str:
    return f"{amount // 1024}Ki" if name.startswith("hugepages-") and amount else str(amount)


def pods_max(kubelet: KubeletConfiguration, cpus: int) -> int:
    """How many pods fit, by number alone."""
    most = kubelet.max_pods
    return min(most, kubelet.pods_per_core * cpus) if kubelet.pods_per_core else most


def terms(kubelet: KubeletConfiguration, swap_bytes: int) -> Terms:
    """How limits are told to the kernel."""
    period = round(kubelet.cpu_cfs_quota_period * MICROSECONDS) if kubelet.cpu_cfs_quota else 0
    swaps = kubelet.memory_swap.swap_behavior == "LimitedSwap"
    return Terms(period, swap_bytes, swaps)


def together(kubelet: KubeletConfiguration, capacity: Mapping[str, int]) -> PodLimits | None:
    """The limits of all pods together; None where they are not enforced.

    What eviction keeps free is theirs here: pods are evicted before they meet this limit.
    """
    if "pods" not in kubelet.enforce_node_allocatable:
        return None
    most = left(capacity, system(kubelet))
    return PodLimits(cpu_shares=shares_for(most["cpu"]), memory_bytes=most["memory"])


def enforced(kubelet: KubeletConfiguration) -> dict[str, tuple[PodLimits, int]]:
    """Limits by cgroup, and of processes (0: none), of what is reserved and held to that.

    ``…-compressible``: CPU alone, of which nobody dies who wants more.
    """
    found = {}
    for name, cgroup, said in (
        ("kube-reserved", kubelet.kube_reserved_cgroup, kubelet.kube_reserved),
        ("system-reserved", kubelet.system_reserved_cgroup, kubelet.system_reserved),
    ):
        kept = amounts.parsed(said)
        shares = shares_for(kept.get("cpu", 0))
        if name in kubelet.enforce_node_allocatable:
            limits = PodLimits(shares, memory_bytes=kept.get("memory", 0))
            found[cgroup] = limits, kept.get("pid", 0)
        elif f"{name}-compressible" in kubelet.enforce_node_allocatable:
            found[cgroup] = PodLimits(shares), 0
    return found


def _bytes(threshold: str, capacity: int) -> int:
    if threshold.endswith("%"):
        return int(capacity * float(threshold[:-1]) / 100)
    return quantity.ceiling(threshold)
