"""Put together what one container, or one pod, uses now."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from pilothouse.cri_shim.ports import Records
from pilothouse.cri_shim.records import READY, RUNNING, ContainerRecord, SandboxRecord
from pilothouse.cri_shim.stats import cgroups
from pilothouse.cri_shim.stats.cgroups import Usage
from pilothouse.cri_shim.stats.network import Interface, interfaces
from pilothouse.services.machinery.errors import NotFound
from pilothouse.services.runtime.clock import Clock

NANOSECONDS = 1_000_000_000
LAYER_SECONDS = 10.0
"""How long the size of a writable layer is told again: counting walks its files."""
RATE_SECONDS_MIN = 0.5
"""CPU time over a shorter span says nothing of a rate."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A container's writable layer."""

    at: int
    bytes: int
    inodes: int


@dataclass(frozen=True, slots=True)
class Taken:
    """One container's or pod's usage; ``at`` in nanoseconds since 1970."""

    at: int
    usage: Usage
    nano_cores: int = 0
    layer: Layer | None = None
    interfaces: Sequence[Interface] = ()


@dataclass(frozen=True, slots=True)
class Sources:
    """Where it is read. A layer's size is bytes and inodes of a snapshot's key."""

    usage: Callable[[str], Usage]
    """Of a cgroup by its path below a hierarchy's root."""
    net_dev: Callable[[int], str]
    """``/proc/<pid>/net/dev``, empty without the process."""
    layer: Callable[[str], Awaitable[tuple[int, int]]]


@dataclass(frozen=True, slots=True)
class Filter:
    """Whom a list is about; empty is everybody. Ids may be cut short."""

    id: str = ""
    sandbox_id: str = ""
    labels: tuple[tuple[str, str], ...] = ()

    def fits(self, id_: str, sandbox_id: str, labels: Mapping[str, str]) -> bool:
        """Whether one is meant."""
        return (
            id_.startswith(self.id)
            and sandbox_id.startswith(self.sandbox_id)
            and all(labels.get(name) == value for name, value in self.labels)
        )


@dataclass(frozen=True, slots=True)
class _Sample:
    at: float
    cpu_nanoseconds: int
    nano_cores: int


class Collector:
    """Remembers of each only the last CPU time, for the rate, and the layer's size."""

    def __init__(self, records: Records, sources: Sources, clock: Clock) -> None:
        self._records = records
        self._sources = sources
        self._clock = clock
        self._samples: dict[str, _Sample] = {}
        self._layers: dict[str, Layer] = {}

    async def container(self, record: ContainerRecord) -> Taken:
        """Of one container; what does not run has its layer only."""
        usage = Usage()
        if record.state == RUNNING:
            usage = self._sources.usage(cgroups.path_of(record.cgroup_path))
        now = self._now()
        return Taken(now, usage, self._rate(record.id, usage), await self._layer(record, now))

    def sandbox(self, record: SandboxRecord) -> Taken:
        """Of a whole pod: its cgroup has all its containers in it."""
        parent = record.config.linux.cgroup_parent
        usage = self._sources.usage(cgroups.path_of(parent)) if parent else Usage()
        carried: Sequence[Interface] = ()
        if record.netns and record.pid:
            carried = interfaces(self._sources.net_dev(record.pid))
        return Taken(self._now(), usage, self._rate(record.id, usage), None, carried)

    def containers(self, wanted: Filter) -> list[ContainerRecord]:
        """Those that run and are meant."""
        return [
            record
            for record in self._records.containers()
            if record.state == RUNNING
            and wanted.fits(record.id, record.sandbox_id, record.config.labels)
        ]

    def sandboxes(self, wanted: Filter) -> list[SandboxRecord]:
        """Those that are ready and meant."""
        self._forget()
        return [
            record
            for record in self._records.sandboxes()
            if record.state == READY and wanted.fits(record.id, record.id, record.config.labels)
        ]

    def ready(self, id_: str) -> SandboxRecord:
        """One sandbox; NotFound when it is not ready."""
        record = self._records.sandbox(id_)
        if record.state != READY:
            raise NotFound(f"pod sandbox stats: sandbox container {id_!r} is not running")
        return record

    def _now(self) -> int:
        return int(self._clock.now() * NANOSECONDS)

    def _rate(self, id_: str, usage: Usage) -> int:
        """Billionths of a core since somebody asked before; 0 the first time."""
        spent = usage.cpu_nanoseconds
        if spent is None:
            return 0
        now = self._clock.monotonic()
        last = self._samples.get(id_)
        if last is None or spent < last.cpu_nanoseconds:
            self._samples[id_] = _Sample(now, spent, 0)
            return 0
        if now - last.at < RATE_SECONDS_MIN:
            return last.nano_cores
        rate = int((spent - last.cpu_nanoseconds) / (now - last.at))
        self._samples[id_] = _Sample(now, spent, rate)
        return rate

    async def _layer(self, record: ContainerRecord, now: int) -> Layer | None:
        if not record.snapshot_key:
            return None
        known = self._layers.get(record.id)
        if known is None or now - known.at > LAYER_SECONDS * NANOSECONDS:
            size, inodes = await self._sources.layer(record.snapshot_key)
            known = self._layers[record.id] = Layer(now, size, inodes)
        return known

    def _forget(self) -> None:
        """What is gone has no usage."""
        known = {item.id for item in self._records.containers()}
        known |= {item.id for item in self._records.sandboxes()}
        for kept in (self._samples, self._layers):
            for id_ in kept.keys() - known:
                kept.pop(id_, None)
