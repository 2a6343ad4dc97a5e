"""Measure the node and its pods when somebody asks, and remember it for as long as he allows."""

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path

from pilothouse.services.kubelet.adapters.cri.usage import CriUsage, Space
from pilothouse.services.kubelet.adapters.machine.usage import machine, trees
from pilothouse.services.kubelet.adapters.machine.usage.cgroups import CgroupFiles
from pilothouse.services.kubelet.adapters.machine.usage.disks import Disks, layer
from pilothouse.services.kubelet.pod.observed import Container
from pilothouse.services.kubelet.resources import qos
from pilothouse.services.kubelet.stats.values import (
    Cgroup,
    ContainerUsage,
    Filesystem,
    NodeUsage,
    Part,
    PodUsage,
    Usage,
    rate,
    together,
)
from pilothouse.services.kubelet.workers.pods import Pods
from pilothouse.services.kubelet.workers.worker import PodWorker
from pilothouse.services.machinery.errors import ApiError
from pilothouse.services.runtime import telemetry
from pilothouse.services.runtime.clock import Clock

WINDOW_SECONDS = 1.0
"""CPU time is told as a rate over no less than this."""
LOG_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Place:
    """This node: its name, where its pods' cgroups, directories and logs are, and its runtime."""

    name: str
    cgroup_root: str
    root: Path
    logs: Path
    runtime_endpoint: str


@dataclass(frozen=True, slots=True)
class _Storage:
    """What the runtime says: layers by container, and the file systems."""

    layers: dict[str, Space]
    images: Filesystem | None
    around: Filesystem | None


class Surveyor:
    """:class:`Usages` of the kernel and one runtime."""

    def __init__(self, place: Place, pods: Pods, runtime: CriUsage, clock: Clock) -> None:
        self._place = place
        self._pods = pods
        self._runtime = runtime
        self._clock = clock
        self._cgroups = CgroupFiles(clock)
        self._disks = Disks(place.root, clock)
        self._samples: dict[str, tuple[Cgroup | None, Cgroup]] = {}
        self._seen: dict[bool, tuple[float, Usage]] = {}
        self._runtime_pid: int | None = None
        # Whoever asks for little does not wait for a disk that somebody else asked for.
        self._measuring = {complete: asyncio.Lock() for complete in (False, True)}
        self._log = telemetry.logger(part="stats")

    async def processing(self, age_seconds: float) -> Usage:
        """CPU, memory and processes alone: cheap."""
        return await self._ask(age_seconds, complete=False)

    async def everything(self, age_seconds: float) -> Usage:
        """Disks and networks too."""
        return await self._ask(age_seconds, complete=True)

    async def _ask(self, age_seconds: float, *, complete: bool) -> Usage:
        async with self._measuring[complete]:
            now = self._clock.monotonic()
            for kind in {complete, True}:
                at, kept = self._seen.get(kind, (float("-inf"), None))
                if kept is not None and now - at <= age_seconds:
                    return kept
            storage = await self._storage() if complete else None
            workers = [item for item in self._pods.workers() if _runs(item)]
            found = await asyncio.to_thread(self._measure, workers, storage)
            self._seen[complete] = (now, found)
            return found

    async def _storage(self) -> _Storage:
        try:
            layers = await self._runtime.layers()
            images, around = await self._runtime.places()
        except ApiError as error:
            self._log.info("the runtime does not tell its storage", error=error.message)
            return _Storage({}, None, None)
        return _Storage(layers, self._space(images), self._space(around or images))

    def _space(self, space: Space | None) -> Filesystem | None:
        if space is None or not space.mountpoint:
            return None
        now = self._clock.now()
        around = trees.filesystem(Path(space.mountpoint), now)
        return None if around is None else layer(around, space.used_bytes, space.inodes_used, now)

    def _measure(self, workers: list[PodWorker], storage: _Storage | None) -> Usage:
        pods = tuple(self._pod(worker, storage) for worker in workers)
        used = Usage(self._node(storage), pods)
        self._forget(used)
        return used

    def _node(self, storage: _Storage | None) -> NodeUsage:
        place, whole, now = self._place, machine.whole(), self._clock.now()
        if self._runtime_pid is None:
            self._runtime_pid = machine.peer(place.runtime_endpoint)
        systems = [self._process("self", "kubelet")]
        if self._runtime_pid is not None:
            systems.append(self._process(self._runtime_pid, "runtime"))
            if systems[-1] is None:
                self._runtime_pid = None
        systems.append(self._part("pods", place.cgroup_root, whole.booted_at))
        told = NodeUsage(
            part=self._part(place.name, "/", whole.booted_at),
            memory_bytes=whole.memory_bytes,
            swap_bytes=whole.swap_bytes,
            systems=tuple(part for part in systems if part is not None),
            processes=whole.processes,
            processes_max=whole.processes_max,
        )
        if storage is None:
            return told
        return replace(
            told,
            network=machine.network("self", now),
            filesystem=trees.filesystem(place.root, now),
            images=storage.images,
            layers=storage.around,
        )

    def _process(self, pid: int | str, name: str) -> Part | None:
        part = machine.process(pid, name, self._clock.now())
        if part is None or part.cgroup is None:
            return None
        nanocores = self._rate(f"process {name}", part.cgroup, part.started_at)
        return replace(part, nanocores=nanocores)

    def _part(self, name: str, path: str, started_at: float) -> Part:
        cgroup = self._cgroups.read(path)
        nanocores = None if cgroup is None else self._rate(path, cgroup, started_at)
        return Part(name, started_at, cgroup, nanocores)

    def _rate(self, path: str, now: Cgroup, started_at: float) -> int | None:
        before, last = self._samples.get(path, (None, None))
        if last is None or now.at - last.at >= WINDOW_SECONDS:
            before = last
            self._samples[path] = (before, now)
        return rate(before, now, started_at)

    def _pod(self, worker: PodWorker, storage: _Storage | None) -> PodUsage:
        pod, sandbox = worker.pod, worker.observed.sandbox
        metadata, parent = pod.metadata, qos.cgroup_parent(self._place.cgroup_root, pod)
        containers = tuple(
            self._container(worker, item, f"{parent}/{item.id}", storage)
            for item in worker.observed.containers
            if item.state == "running"
        )
        told = PodUsage(
            namespace=metadata.namespace,
            name=metadata.name,
            uid=pod.uid,
            part=self._part("", parent, sandbox.created_at if sandbox is not None else 0.0),
            containers=containers,
            sandbox_id=sandbox.id if sandbox is not None else "",
            path=parent,
        )
        if storage is None:
            return told
        now, volumes = self._clock.now(), self._disks.volumes(pod.uid)
        pid = self._cgroups.first_process(f"{parent}/{told.sandbox_id}")
        parts = [self._disks.own(pod.uid)]
        parts += [volume.filesystem for volume in volumes if volume.local]
        parts += [place for item in containers for place in (item.rootfs, item.logs)]
        return replace(
            told,
            network=None if pid is None else machine.network(pid, now),
            volumes=volumes,
            ephemeral=together(now, tuple(parts)),
        )

    def _container(
        self, worker: PodWorker, container: Container, path: str, storage: _Storage | None
    ) -> ContainerUsage:
        part = self._part(container.name, path, container.started_at)
        told = ContainerUsage(part, container.id, container.image)
        if storage is None:
            return told
        space = storage.layers.get(container.id)
        rootfs = None
        if space is not None:
            now = self._clock.now()
            rootfs = layer(storage.around, space.used_bytes, space.inodes_used, now)
        metadata = worker.pod.metadata
        directory = f"{metadata.namespace}_{metadata.name}_{metadata.uid}"
        logs = self._place.logs / directory / container.name
        return replace(told, rootfs=rootfs, logs=self._disks.used(logs, LOG_SECONDS))

    def _forget(self, used: Usage) -> None:
        """Samples of what is gone."""
        self._disks.forget(pod.uid for pod in used.pods)
        parents = {f"pod{pod.uid}" for pod in used.pods}
        self._samples = {
            path: kept
            for path, kept in self._samples.items()
            if "/pod" not in path or parents & set(path.split("/"))
        }


def _runs(worker: PodWorker) -> bool:
    sandbox = worker.observed.sandbox
    return sandbox is not None and sandbox.ready
