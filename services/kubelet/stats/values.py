"""Usage of the node, its pods and their containers, as values.

Amounts are bytes, nanoseconds of CPU time and numbers of things; times are seconds since the
epoch. None is what could not be told.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Stall:
    """One line of a pressure file: microseconds in all, and shares (percent) of late."""

    total: int = 0
    avg10: float = 0.0
    avg60: float = 0.0
    avg300: float = 0.0


@dataclass(frozen=True, slots=True)
class Pressure:
    """How long some, or all, of the processes waited for a resource."""

    some: Stall = Stall()
    full: Stall = Stall()


@dataclass(frozen=True, slots=True)
class Throttling:
    """Periods under a quota of CPU time; all 0 where there is no quota."""

    periods: int = 0
    throttled: int = 0
    throttled_nanoseconds: int = 0
    quota_microseconds: int = 0
    period_microseconds: int = 0
    shares: int = 0


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of one cgroup; ``limit_bytes`` None: no limit of its own."""

    usage_bytes: int = 0
    inactive_file_bytes: int = 0
    active_file_bytes: int = 0
    rss_bytes: int = 0
    cache_bytes: int = 0
    mapped_file_bytes: int = 0
    swap_bytes: int | None = None
    swap_limit_bytes: int | None = None
    limit_bytes: int | None = None
    peak_bytes: int = 0
    failures: int = 0
    page_faults: int = 0
    major_page_faults: int = 0

    @property
    def working_set_bytes(self) -> int:
        """What can not be given back: all but file pages nobody used of late."""
        return max(self.usage_bytes - self.inactive_file_bytes, 0)

    @property
    def available_bytes(self) -> int | None:
        """What is left below the limit; None where there is none."""
        if self.limit_bytes is None:
            return None
        return max(self.limit_bytes - self.working_set_bytes, 0)


@dataclass(frozen=True, slots=True)
class Cgroup:
    """One cgroup at one moment. ``pressures``: by ``cpu``, ``memory`` and ``io``."""

    at: float
    cpu_nanoseconds: int = 0
    cpu_user_nanoseconds: int = 0
    cpu_system_nanoseconds: int = 0
    throttling: Throttling = Throttling()
    memory: Memory = Memory()
    processes: int = 0
    processes_max: int | None = None
    pressures: Mapping[str, Pressure] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Filesystem:
    """A file system, or a tree in one: then ``used`` and ``inodes_used`` are those of the tree."""

    at: float
    capacity_bytes: int | None = None
    available_bytes: int | None = None
    used_bytes: int | None = None
    inodes: int | None = None
    inodes_free: int | None = None
    inodes_used: int | None = None


@dataclass(frozen=True, slots=True)
class Interface:
    """Counters of one network interface."""

    name: str
    rx_bytes: int = 0
    rx_packets: int = 0
    rx_errors: int = 0
    rx_dropped: int = 0
    tx_bytes: int = 0
    tx_packets: int = 0
    tx_errors: int = 0
    tx_dropped: int = 0


@dataclass(frozen=True, slots=True)
class Network:
    """All interfaces but loopback; ``default`` names the one that counts."""

    at: float
    interfaces: tuple[Interface, ...] = ()
    default: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """A cgroup with its name and rate: ``nanocores`` is CPU time a second since the last look."""

    name: str
    started_at: float
    cgroup: Cgroup | None = None
    nanocores: int | None = None


@dataclass(frozen=True, slots=True)
class ContainerUsage:
    """One container that runs. ``rootfs`` is its writable layer."""

    part: Part
    id: str = ""
    image: str = ""
    rootfs: Filesystem | None = None
    logs: Filesystem | None = None

    @property
    def name(self) -> str:
        return self.part.name


@dataclass(frozen=True, slots=True)
class VolumeUsage:
    """``local``: it lies on the node's own file system and counts as its pod's storage."""

    name: str
    filesystem: Filesystem
    local: bool = False


@dataclass(frozen=True, slots=True)
class PodUsage:
    """One pod. ``ephemeral``: its writable layers, logs and local volumes together.

    ``path``: its cgroup; those of its containers are below, under their ids.
    """

    namespace: str
    name: str
    uid: str
    part: Part
    containers: tuple[ContainerUsage, ...] = ()
    sandbox_id: str = ""
    path: str = ""
    network: Network | None = None
    volumes: tuple[VolumeUsage, ...] = ()
    ephemeral: Filesystem | None = None


@dataclass(frozen=True, slots=True)
class NodeUsage:
    """The machine. ``filesystem`` holds the kubelet's own directory, ``images`` what the runtime
    pulled, ``layers`` what containers write (the same, where they are not apart).

    ``processes_max``: the kernel's limit.
    """

    part: Part
    memory_bytes: int
    swap_bytes: int = 0
    systems: tuple[Part, ...] = ()
    network: Network | None = None
    filesystem: Filesystem | None = None
    images: Filesystem | None = None
    layers: Filesystem | None = None
    processes: int = 0
    processes_max: int = 0

    @property
    def memory_available_bytes(self) -> int | None:
        """As the signal ``memory.available`` means it."""
        if self.part.cgroup is None:
            return None
        return max(self.memory_bytes - self.part.cgroup.memory.working_set_bytes, 0)


@dataclass(frozen=True, slots=True)
class Usage:
    """Everything, at about one moment."""

    node: NodeUsage
    pods: tuple[PodUsage, ...] = ()


class Usages(Protocol):
    """Who can tell. Answers are at most ``age_seconds`` old; nothing is measured unasked."""

    async def processing(self, age_seconds: float) -> Usage:
        """CPU, memory and processes alone: cheap."""

    async def everything(self, age_seconds: float) -> Usage:
        """Disks and networks too."""


def together(at: float, parts: tuple[Filesystem | None, ...]) -> Filesystem:
    """What several trees of one file system use; its own size is that of the first."""
    known = [item for item in parts if item is not None]
    first = known[0] if known else Filesystem(at)
    return Filesystem(
        at=at,
        capacity_bytes=first.capacity_bytes,
        available_bytes=first.available_bytes,
        used_bytes=sum(item.used_bytes or 0 for item in known),
        inodes=first.inodes,
        inodes_free=first.inodes_free,
        inodes_used=sum(item.inodes_used or 0 for item in known),
    )


def rate(before: Cgroup | None, now: Cgroup, started_at: float) -> int | None:
    """Nanoseconds of CPU time a second since ``before``, or since the start when there is none."""
    since, used = (started_at, 0) if before is None else (before.at, before.cpu_nanoseconds)
    if now.at <= since or now.cpu_nanoseconds < used:
        return None
    return round((now.cpu_nanoseconds - used) / (now.at - since))
