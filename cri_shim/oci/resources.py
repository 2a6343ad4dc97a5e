"""Limits in the words of the OCI: what cgroups are told."""

from typing import Any

from pilothouse.cri_shim.configs import Resources

DEVICES_DENIED = [{"allow": False, "access": "rwm"}]
DEVICES_ALLOWED = [{"allow": True, "access": "rwm"}]
SANDBOX_SHARES = 2


def limits(asked: Resources, *, counts_swap: bool) -> dict[str, Any]:
    """LinuxResources without devices; what is not asked for is not said.

    ``counts_swap``: the kernel can limit swap. A limit of memory without one of swap allows none.
    """
    found: dict[str, Any] = {}
    cpu = _only(
        shares=asked.cpu_shares,
        quota=asked.cpu_quota,
        period=asked.cpu_period,
        cpus=asked.cpuset_cpus,
        mems=asked.cpuset_mems,
    )
    swap = asked.memory_swap_limit_in_bytes or asked.memory_limit_in_bytes
    memory = _only(limit=asked.memory_limit_in_bytes, swap=swap if counts_swap else 0)
    if cpu:
        found["cpu"] = cpu
    if memory:
        found["memory"] = memory
    if asked.hugepage_limits:
        found["hugepageLimits"] = [
            {"pageSize": item.page_size, "limit": item.limit} for item in asked.hugepage_limits
        ]
    if asked.unified:
        found["unified"] = dict(asked.unified)
    return found


def merged(old: Resources, new: Resources) -> Resources:
    """What holds after an update: what it does not speak of stays."""
    names = [name for name in Resources.__struct_fields__ if name != "oom_score_adj"]
    said = {name: getattr(new, name) or getattr(old, name) for name in names}
    return Resources(oom_score_adj=old.oom_score_adj, **said)


def oom_score_adj(wanted: int, own: int, *, may_lower: bool) -> int:
    """What can be set: without CAP_SYS_RESOURCE nothing below this process's own."""
    return wanted if may_lower else max(wanted, own)


def cgroup_path(parent: str, id_: str, *, systemd: bool) -> str:
    """Where a container's cgroup is, as the OCI spec of a driver says it."""
    if systemd:
        return f"{parent.rstrip('/').rpartition('/')[2] or 'system.slice'}:cri-containerd:{id_}"
    return f"/{parent.strip('/')}/{id_}" if parent.strip("/") else f"/{id_}"


def _only(**said: int | str) -> dict[str, Any]:
    return {name: value for name, value in said.items() if value}


def cgroup_directory(path: str) -> str:
    """Where that is below a hierarchy: systemd nests slices by the dashes in their names."""
    slice_, colon, rest = path.partition(":")
    if not colon:
        return path
    prefix, _, name = rest.partition(":")
    parts = slice_.removesuffix(".slice").split("-")
    nested = ["-".join(parts[: count + 1]) + ".slice" for count in range(len(parts))]
    return f"/{'/'.join(nested)}/{prefix}-{name}.scope"
