"""``/metrics/cadvisor``: every cgroup of the node under cAdvisor's names. Pure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from pilothouse.services.kubelet.stats.values import (
    Cgroup,
    Filesystem,
    Network,
    Part,
    Pressure,
    Usage,
)
from pilothouse.services.runtime.exposition import Family, Labels

NANOSECONDS, MICROSECONDS = 1e9, 1e6
Sort = Literal["counter", "gauge", "histogram"]

_SIMPLE: tuple[tuple[str, Sort, str, Callable[[Cgroup], float | None]], ...] = (
    ("container_cpu_user_seconds_total", "counter", "User cpu time consumed in seconds.",
     lambda c: c.cpu_user_nanoseconds / NANOSECONDS),
    ("container_cpu_system_seconds_total", "counter", "System cpu time consumed in seconds.",
     lambda c: c.cpu_system_nanoseconds / NANOSECONDS),
    ("container_memory_usage_bytes", "gauge", "Memory in use, file pages included.",
     lambda c: c.memory.usage_bytes),
    ("container_memory_working_set_bytes", "gauge", "Current working set.",
     lambda c: c.memory.working_set_bytes),
    ("container_memory_rss", "gauge", "Size of RSS in bytes.", lambda c: c.memory.rss_bytes),
    ("container_memory_cache", "gauge", "Page cache in bytes.", lambda c: c.memory.cache_bytes),
    ("container_memory_mapped_file", "gauge", "Memory mapped files in bytes.",
     lambda c: c.memory.mapped_file_bytes),
    ("container_memory_swap", "gauge", "Swap in use in bytes.", lambda c: c.memory.swap_bytes),
    ("container_memory_max_usage_bytes", "gauge", "The most memory that was in use.",
     lambda c: c.memory.peak_bytes),
    ("container_memory_failcnt", "counter", "How often the limit of memory was hit.",
     lambda c: c.memory.failures),
    ("container_memory_total_active_file_bytes", "gauge", "File pages used of late.",
     lambda c: c.memory.active_file_bytes),
    ("container_memory_total_inactive_file_bytes", "gauge", "File pages not used of late.",
     lambda c: c.memory.inactive_file_bytes),
    ("container_processes", "gauge", "Processes in it.", lambda c: c.processes),
    ("container_threads_max", "gauge", "The most processes and threads it may have; 0: no limit.",
     lambda c: c.processes_max or 0),
    ("container_spec_memory_limit_bytes", "gauge", "Limit of memory; 0: none.",
     lambda c: c.memory.limit_bytes or 0),
    ("container_spec_memory_swap_limit_bytes", "gauge", "Limit of swap; 0: none.",
     lambda c: c.memory.swap_limit_bytes or 0),
    ("container_spec_cpu_period", "gauge", "Period of the quota of cpu time, in microseconds.",
     lambda c: c.throttling.period_microseconds or None),
    ("container_spec_cpu_quota", "gauge", "Quota of cpu time a period, in microseconds.",
     lambda c: c.throttling.quota_microseconds or None),
    ("container_spec_cpu_shares", "gauge", "Share of cpu time.",
     lambda c: c.throttling.shares or None),
    ("container_cpu_cfs_periods_total", "counter", "Periods of the quota that have passed.",
     lambda c: c.throttling.periods if c.throttling.quota_microseconds else None),
    ("container_cpu_cfs_throttled_periods_total", "counter", "Periods in which it was held up.",
     lambda c: c.throttling.throttled if c.throttling.quota_microseconds else None),
    ("container_cpu_cfs_throttled_seconds_total", "counter", "How long it was held up, in seconds.",
     lambda c: c.throttling.throttled_nanoseconds / NANOSECONDS
     if c.throttling.quota_microseconds else None),
)  # fmt: skip
_NETWORK = (
    ("receive_bytes", "rx_bytes"), ("receive_errors", "rx_errors"),
    ("receive_packets", "rx_packets"), ("receive_packets_dropped", "rx_dropped"),
    ("transmit_bytes", "tx_bytes"), ("transmit_errors", "tx_errors"),
    ("transmit_packets", "tx_packets"), ("transmit_packets_dropped", "tx_dropped"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Platform:
    """The machine, as ``cadvisor_version_info`` and ``machine_*`` tell it."""

    cores: int
    memory_bytes: int
    swap_bytes: int
    kernel: str
    system: str
    machine_id: str = ""
    boot_id: str = ""
    system_uuid: str = ""


@dataclass(slots=True)
class _Board:
    """Families by name, made when first used."""

    families: dict[str, Family] = field(default_factory=dict)

    def family(self, name: str, sort: Sort, told: str) -> Family:
        return self.families.setdefault(name, Family(name, sort, told))

    def cgroup(self, cgroup: Cgroup, labels: Labels) -> None:
        at = cgroup.at
        for name, sort, told, read in _SIMPLE:
            value = read(cgroup)
            if value is not None:
                self.family(name, sort, told).add(value, *labels, at=at)
        used = self.family(
            "container_cpu_usage_seconds_total", "counter", "Cpu time consumed in seconds."
        )
        used.add(cgroup.cpu_nanoseconds / NANOSECONDS, *labels, ("cpu", "total"), at=at)
        self.family("container_last_seen", "gauge", "When it was last looked at.").add(
            int(at), *labels, at=at
        )
        faults = self.family("container_memory_failures_total", "counter", "Page faults.")
        for kind, count in (
            ("pgfault", cgroup.memory.page_faults), ("pgmajfault", cgroup.memory.major_page_faults)
        ):  # fmt: skip
            for scope in ("container", "hierarchy"):
                faults.add(count, *labels, ("failure_type", kind), ("scope", scope), at=at)
        for name, pressure in cgroup.pressures.items():
            self._pressure(name, pressure, labels, at)

    def _pressure(self, name: str, pressure: Pressure, labels: Labels, at: float) -> None:
        for word, stall, told in (
            ("waiting", pressure.some, "some"), ("stalled", pressure.full, "all"),
        ):  # fmt: skip
            family = self.family(
                f"container_pressure_{name}_{word}_seconds_total", "counter",
                f"How long {told} of its processes waited for {name}, in seconds.",
            )  # fmt: skip
            family.add(stall.total / MICROSECONDS, *labels, at=at)

    def started(self, part: Part, labels: Labels) -> None:
        if part.started_at > 0:
            self.family(
                "container_start_time_seconds", "gauge", "When it was started, unix time."
            ).add(part.started_at, *labels)

    def network(self, network: Network, labels: Labels) -> None:
        for word, attribute in _NETWORK:
            family = self.family(
                f"container_network_{word}_total", "counter",
                f"Network: {word.replace('_', ' ')}.",
            )  # fmt: skip
            for item in network.interfaces:
                value: int = getattr(item, attribute)
                family.add(value, *labels, ("interface", item.name), at=network.at)

    def filesystem(self, place: Filesystem, labels: Labels) -> None:
        for name, told, value in (
            ("usage_bytes", "Bytes that it keeps.", place.used_bytes),
            ("limit_bytes", "Bytes of the file system.", place.capacity_bytes),
            ("inodes_total", "Inodes of the file system.", place.inodes),
            ("inodes_free", "Inodes that are free.", place.inodes_free),
        ):
            if value is not None:
                family = self.family(f"container_fs_{name}", "gauge", told)
                family.add(value, *labels, ("device", ""), at=place.at)


def families(usage: Usage | None, platform: Platform, cgroup_root: str) -> Iterator[Family]:
    """None: it could not be told, which is an error of the scrape."""
    board = _Board()
    if usage is not None:
        _node(board, usage, cgroup_root)
        _pods(board, usage, cgroup_root)
    yield from board.families.values()
    yield from _machine(platform)
    told = "1 if there was an error while getting container metrics, 0 otherwise"
    yield Family("container_scrape_error", "gauge", told).add(1 if usage is None else 0)


def _labels(id_: str, container: str = "", image: str = "", name: str = "") -> Labels:
    return (("container", container), ("id", id_), ("image", image), ("name", name))


def _node(board: _Board, usage: Usage, cgroup_root: str) -> None:
    nowhere = (("namespace", ""), ("pod", ""))
    for part, path in (
        (usage.node.part, "/"),
        *((item, cgroup_root) for item in usage.node.systems if item.name == "pods"),
    ):
        labels = (*_labels(path), *nowhere)
        board.started(part, labels)
        if part.cgroup is not None:
            board.cgroup(part.cgroup, labels)
    labels = (*_labels("/"), *nowhere)
    if usage.node.network is not None:
        board.network(usage.node.network, labels)
    if usage.node.filesystem is not None:
        board.filesystem(usage.node.filesystem, labels)


def _pods(board: _Board, usage: Usage, cgroup_root: str) -> None:
    for pod in usage.pods:
        about = (("namespace", pod.namespace), ("pod", pod.name))
        top = pod.path or f"{cgroup_root}/pod{pod.uid}"
        if pod.part.cgroup is not None:
            board.cgroup(pod.part.cgroup, (*_labels(top), *about))
        board.started(pod.part, (*_labels(top), *about))
        if pod.network is not None:
            sandbox = _labels(f"{top}/{pod.sandbox_id}", name=pod.sandbox_id)
            board.network(pod.network, (*sandbox, *about))
        for item in pod.containers:
            labels = (*_labels(f"{top}/{item.id}", item.name, item.image, item.id), *about)
            board.started(item.part, labels)
            if item.part.cgroup is not None:
                board.cgroup(item.part.cgroup, labels)
            if item.rootfs is not None:
                board.filesystem(item.rootfs, labels)


def _machine(platform: Platform) -> Iterator[Family]:
    about = (
        ("boot_id", platform.boot_id),
        ("machine_id", platform.machine_id),
        ("system_uuid", platform.system_uuid),
    )
    for name, told, value in (
        ("machine_cpu_cores", "Number of logical CPU cores.", platform.cores),
        ("machine_memory_bytes", "Amount of memory installed on the machine.",
         platform.memory_bytes),
        ("machine_swap_bytes", "Amount of swap memory available on the machine.",
         platform.swap_bytes),
    ):  # fmt: skip
        yield Family(name, "gauge", told).add(value, *about)
    told = "1 if there was an error while getting machine metrics, 0 otherwise."
    yield Family("machine_scrape_error", "gauge", told).add(0)
    named = (
        ("cadvisorRevision", ""), ("cadvisorVersion", ""), ("dockerVersion", ""),
        ("kernelVersion", platform.kernel), ("osVersion", platform.system),
    )  # fmt: skip
    told = "Kernel version and OS version, under the name that cAdvisor gave it."
    yield Family("cadvisor_version_info", "gauge", told).add(1, *named)
