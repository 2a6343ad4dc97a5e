"""From the texts of a cgroup's files to what it uses, for both versions of cgroups. Pure."""

from collections.abc import Mapping

from pilothouse.services.kubelet.resources import qos
from pilothouse.services.kubelet.stats.values import Cgroup, Memory, Pressure, Stall, Throttling

V1 = {
    "cpuacct": ("cpuacct.usage", "cpuacct.stat"),
    "cpu": ("cpu.stat", "cpu.cfs_quota_us", "cpu.cfs_period_us", "cpu.shares"),
    "memory": (
        "memory.usage_in_bytes", "memory.stat", "memory.limit_in_bytes",
        "memory.max_usage_in_bytes", "memory.failcnt", "memory.memsw.limit_in_bytes",
    ),
    "pids": ("pids.current", "pids.max"),
}  # fmt: skip
"""Files by controller."""
V2 = (
    "cpu.stat", "cpu.max", "cpu.weight", "memory.current", "memory.stat", "memory.max",
    "memory.peak", "memory.events", "memory.swap.current", "memory.swap.max", "pids.current",
    "pids.max",
)  # fmt: skip
PRESSURES = ("cpu.pressure", "memory.pressure", "io.pressure")

MICROSECOND = 1_000
TICK = 10_000_000
"""Nanoseconds; the kernel tells user space hundredths of a second."""
UNLIMITED_FROM = 1 << 62
"""Version 1 has no word for no limit, but a number."""
WEIGHT_SPAN = 9999


def decode_v1(files: Mapping[str, str], at: float) -> Cgroup:
    """Missing files count as nothing."""
    ticks = _table(files.get("cpuacct.stat", ""))
    stat = _table(files.get("memory.stat", ""))
    throttled = _table(files.get("cpu.stat", ""))
    limit = _limit(files.get("memory.limit_in_bytes", ""))
    both = _limit(files.get("memory.memsw.limit_in_bytes", ""))

    def total(name: str) -> int:
        return stat.get(f"total_{name}", stat.get(name, 0))

    return Cgroup(
        at=at,
        cpu_nanoseconds=_number(files.get("cpuacct.usage", "")),
        cpu_user_nanoseconds=ticks.get("user", 0) * TICK,
        cpu_system_nanoseconds=ticks.get("system", 0) * TICK,
        throttling=Throttling(
            periods=throttled.get("nr_periods", 0),
            throttled=throttled.get("nr_throttled", 0),
            throttled_nanoseconds=throttled.get("throttled_time", 0),
            quota_microseconds=max(_number(files.get("cpu.cfs_quota_us", "")), 0),
            period_microseconds=_number(files.get("cpu.cfs_period_us", "")),
            shares=_number(files.get("cpu.shares", "")),
        ),
        memory=Memory(
            usage_bytes=_number(files.get("memory.usage_in_bytes", "")),
            inactive_file_bytes=total("inactive_file"),
            active_file_bytes=total("active_file"),
            rss_bytes=total("rss"),
            cache_bytes=total("cache"),
            mapped_file_bytes=total("mapped_file"),
            swap_bytes=total("swap") if "swap" in stat else None,
            swap_limit_bytes=None if both is None else max(both - (limit or 0), 0),
            limit_bytes=limit,
            peak_bytes=_number(files.get("memory.max_usage_in_bytes", "")),
            failures=_number(files.get("memory.failcnt", "")),
            page_faults=total("pgfault"),
            major_page_faults=total("pgmajfault"),
        ),
        processes=_number(files.get("pids.current", "")),
        processes_max=_limit(files.get("pids.max", "")),
        pressures=_pressures(files),
    )


def decode_v2(files: Mapping[str, str], at: float) -> Cgroup:
    """Missing files count as nothing."""
    cpu = _table(files.get("cpu.stat", ""))
    stat = _table(files.get("memory.stat", ""))
    quota, _, period = files.get("cpu.max", "").partition(" ")
    weight = _number(files.get("cpu.weight", ""))
    swap = files.get("memory.swap.current")
    return Cgroup(
        at=at,
        cpu_nanoseconds=cpu.get("usage_usec", 0) * MICROSECOND,
        cpu_user_nanoseconds=cpu.get("user_usec", 0) * MICROSECOND,
        cpu_system_nanoseconds=cpu.get("system_usec", 0) * MICROSECOND,
        throttling=Throttling(
            periods=cpu.get("nr_periods", 0),
            throttled=cpu.get("nr_throttled", 0),
            throttled_nanoseconds=cpu.get("throttled_usec", 0) * MICROSECOND,
            quota_microseconds=_number(quota),
            period_microseconds=_number(period),
            shares=_shares(weight),
        ),
        memory=Memory(
            usage_bytes=_number(files.get("memory.current", "")),
            inactive_file_bytes=stat.get("inactive_file", 0),
            active_file_bytes=stat.get("active_file", 0),
            rss_bytes=stat.get("anon", 0),
            cache_bytes=stat.get("file", 0),
            mapped_file_bytes=stat.get("file_mapped", 0),
            swap_bytes=None if swap is None else _number(swap),
            swap_limit_bytes=_limit(files.get("memory.swap.max", "")),
            limit_bytes=_limit(files.get("memory.max", "")),
            peak_bytes=_number(files.get("memory.peak", "")),
            failures=_table(files.get("memory.events", "")).get("max", 0),
            page_faults=stat.get("pgfault", 0),
            major_page_faults=stat.get("pgmajfault", 0),
        ),
        processes=_number(files.get("pids.current", "")),
        processes_max=_limit(files.get("pids.max", "")),
        pressures=_pressures(files),
    )


def _shares(weight: int) -> int:
    if not weight:
        return 0
    return qos.SHARES_MIN + (weight - 1) * (qos.SHARES_MAX - qos.SHARES_MIN) // WEIGHT_SPAN


def _pressures(files: Mapping[str, str]) -> dict[str, Pressure]:
    return {name.partition(".")[0]: pressure(files[name]) for name in PRESSURES if files.get(name)}


def pressure(text: str) -> Pressure:
    """One file of pressure: its lines ``some`` and ``full``."""
    found: dict[str, Stall] = {}
    for line in text.splitlines():
        name, *pairs = line.split()
        told = dict(pair.split("=", 1) for pair in pairs)
        found[name] = Stall(
            total=int(told.get("total", 0)),
            avg10=float(told.get("avg10", 0)),
            avg60=float(told.get("avg60", 0)),
            avg300=float(told.get("avg300", 0)),
        )
    return Pressure(found.get("some", Stall()), found.get("full", Stall()))


def _table(text: str) -> dict[str, int]:
    rows = (line.split() for line in text.splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}  # noqa: PLR2004 - a name and a number


def _number(text: str) -> int:
    text = text.strip()
    return int(text) if text.lstrip("-").isdigit() else 0


def _limit(text: str) -> int | None:
    text = text.strip()
    if not text.isdigit() or int(text) >= UNLIMITED_FROM:
        return None
    return int(text)
