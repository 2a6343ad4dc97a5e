"""What is written into the files of a cgroup, for both versions. Pure."""

from pilothouse.services.kubelet.resources import qos
from pilothouse.services.kubelet.resources.qos import PodLimits
from pilothouse.services.machinery import quantity

CONTROLLERS = ("cpu", "memory", "pids", "hugetlb", "cpuset")
"""Those that pods' cgroups hand on, where the kernel has them."""
_SIZES = (("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10))


def v1(limits: PodLimits, pids_max: int, sizes: tuple[str, ...]) -> dict[str, str]:
    """Text by file; ``sizes``: the kernel's words for the sizes of huge pages (``2MB``)."""
    return {
        "cpu.shares": str(limits.cpu_shares),
        "cpu.cfs_period_us": str(limits.cpu_period),
        "cpu.cfs_quota_us": str(limits.cpu_quota or -1),
        "memory.limit_in_bytes": str(limits.memory_bytes or -1),
        "pids.max": _most(pids_max),
        **{
            f"hugetlb.{size}.limit_in_bytes": str(amount)
            for size, amount in _huge(limits, sizes).items()
        },
    }


def v2(limits: PodLimits, pids_max: int, sizes: tuple[str, ...]) -> dict[str, str]:
    """Text by file."""
    return {
        "cpu.weight": str(qos.weight_of(limits.cpu_shares)),
        "cpu.max": f"{limits.cpu_quota or 'max'} {limits.cpu_period}",
        "memory.max": _most(limits.memory_bytes),
        "pids.max": _most(pids_max),
        **{f"hugetlb.{size}.max": str(amount) for size, amount in _huge(limits, sizes).items()},
    }


def shares_of(text: str, *, is_weight: bool) -> int:
    """The shares that a file tells; of a weight, as many as would have made it."""
    number = int(text)
    if not is_weight:
        return number
    return qos.SHARES_MIN + (number - 1) * (qos.SHARES_MAX - qos.SHARES_MIN) // 9999


def size_word(size: str) -> str:
    """``2Mi`` in the kernel's words: ``2MB``."""
    amount = quantity.ceiling(size)
    for word, unit in _SIZES:
        if amount >= unit:
            return f"{amount // unit}{word}"
    return f"{amount}B"


def _huge(limits: PodLimits, sizes: tuple[str, ...]) -> dict[str, int]:
    """No page of a size that was not asked for."""
    asked = {size_word(size): amount for size, amount in limits.hugepages.items()}
    return {size: asked.get(size, 0) for size in sizes}


def _most(amount: int) -> str:
    return str(amount) if amount > 0 else "max"
