"""Containers from their creation to their removal."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from msgspec.structs import replace

from pilothouse.cri_shim.concurrency import all_of
from pilothouse.cri_shim.configs import Resources
from pilothouse.cri_shim.containers import endings
from pilothouse.cri_shim.oci import resources, signals
from pilothouse.cri_shim.oci.facts import Machine
from pilothouse.cri_shim.ports import Exit, Logs, Mounted
from pilothouse.cri_shim.records import (
    CREATED,
    EXITED,
    READY,
    RUNNING,
    ContainerRecord,
)
from pilothouse.cri_shim.store import events
from pilothouse.cri_shim.store.events import Event, Events
from pilothouse.cri_shim.store.records import Store
from pilothouse.cri_shim.surroundings import ContainerPlaces, Objects, Snapshots, Task, Tasks
from pilothouse.services.machinery.errors import ApiError, InternalError, NotFound
from pilothouse.services.runtime.clock import Clock

KILL_SECONDS_MAX = 30.0
AGAIN_SECONDS = 0.1
LOOK_SECONDS = 2.0
"""How long the end of what was killed is waited for before the runtime is asked."""


@dataclass
class Surroundings:
    """What containers need, put together once."""

    store: Store
    events: Events
    tasks: Tasks
    objects: Objects
    snapshots: Snapshots
    places: ContainerPlaces
    logs: Logs
    machine: Machine
    clock: Clock
    roots: dict[str, Sequence[Mounted]] = field(default_factory=dict)
    """How to mount what was prepared and is not started yet; asked for where it is not known."""


@dataclass
class Containers:
    """One at a time acts on one container, but for waiting for its end."""

    around: Surroundings
    _locks: dict[str, asyncio.Lock] = field(default_factory=dict)
    _short_of_memory: set[str] = field(default_factory=set)

    async def start(self, id_: str) -> None:
        """Start what was created; what can not start has ended with 128 and StartError."""
        around = self.around
        id_ = around.store.container(id_).id
        async with self._lock(id_):
            record = around.store.container(id_)
            if record.state != CREATED:
                raise InternalError(f"container {id_!r} is not in created state")
            if around.store.sandbox(record.sandbox_id).state != READY:
                raise InternalError(f"sandbox container {record.sandbox_id!r} is not running")
            try:
                pid = await self._start(record)
            except ApiError as error:
                await self._close(record)
                self._put_end(endings.not_started(record, self._now(), error.message))
                raise
            started = replace(record, state=RUNNING, pid=pid, started_at=self._now())
            around.store.put(started)
            self._tell(events.STARTED, started, started.started_at)

    async def _start(self, record: ContainerRecord) -> int:
        around = self.around
        io = around.store.io(record.id)
        mounts = around.roots.pop(record.id, ())
        if not mounts:
            mounts = await around.snapshots.mounts(record.snapshot_key)
        await around.logs.open(io)
        await around.tasks.create(record.id, mounts, io)
        return await around.tasks.start(record.id)

    async def _close(self, record: ContainerRecord) -> None:
        with suppress(ApiError):
            await self.around.tasks.delete(record.id)
        await self.around.logs.close(record.id)

    async def stop(self, id_: str, grace_seconds: int) -> None:
        """Ask it to end, kill it after the grace; fine when it ended, or is gone."""
        try:
            record = self.around.store.container(id_)
        except NotFound:
            return
        async with self._lock(record.id):
            record = self.around.store.container(record.id)
        if record.state != RUNNING:
            return
        if grace_seconds > 0:
            await self.around.tasks.kill(record.id, signals.number(record.stop_signal))
            if await self._has_ended(record.id, grace_seconds):
                return
        await self.around.tasks.kill(record.id, signals.SIGKILL, everyone=True)
        waited = 0.0
        while not await self._has_ended(record.id, LOOK_SECONDS):
            task = await self.around.tasks.find(record.id)
            waited += LOOK_SECONDS
            if task is None or not task.is_running:
                end = Exit(128 + signals.SIGKILL, self._now()) if task is None else task.exit
                await self.ended(record.id, end)
            elif waited >= KILL_SECONDS_MAX:
                raise InternalError(f"container {record.id!r} does not end")

    async def _has_ended(self, id_: str, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self.around.store.wait_end(id_)
        except TimeoutError:
            return False
        return True

    async def ended(self, id_: str, exit_: Exit) -> None:
        """Its main process ended: keep how, when its last output is written."""
        around = self.around
        async with self._lock(id_):
            try:
                record = around.store.container(id_)
            except NotFound:
                return
            if record.state != RUNNING:
                return
            directory = resources.cgroup_directory(record.cgroup_path)
            short = around.places.was_short_of_memory(directory) or id_ in self._short_of_memory
            await self._close(record)
            self._put_end(endings.ended(record, exit_, out_of_memory=short))

    async def lost(self, id_: str) -> None:
        """It ran, and the runtime knows nothing of it any more."""
        async with self._lock(id_):
            record = self.around.store.container(id_)
            if record.state == RUNNING and await self.around.tasks.find(id_) is None:
                await self.around.logs.close(id_)
                self._put_end(endings.lost(record, self._now()))

    async def half_started(self, id_: str, task: Task) -> None:
        """This server ended while it was starting it: it runs, or it never will."""
        if self._lock(id_).locked():
            return
        async with self._lock(id_):
            record = self.around.store.container(id_)
            if record.state != CREATED:
                return
            if task.is_running:
                now = replace(record, state=RUNNING, pid=task.pid, started_at=self._now())
                self.around.store.put(now)
                return
            await self._close(record)
            self._put_end(endings.not_started(record, self._now(), "start was interrupted"))

    def short_of_memory(self, id_: str) -> None:
        """The kernel killed something of it; told before or after its end."""
        with suppress(NotFound):
            record = self.around.store.container(id_)
            self._short_of_memory.add(id_)
            if record.state == EXITED:
                self.around.store.put(endings.killed_for_memory(record))

    def _put_end(self, record: ContainerRecord) -> None:
        self.around.store.put(record)
        self._short_of_memory.discard(record.id)
        self._tell(events.STOPPED, record, record.finished_at)

    async def remove(self, id_: str) -> None:
        """Kill it if it runs, and leave nothing of it; fine when it is gone."""
        around = self.around
        try:
            record = around.store.container(id_)
        except NotFound:
            return
        await self.stop(record.id, 0)
        async with self._lock(record.id):
            if record.id in {item.id for item in around.store.containers()}:
                await self._clear(record)
                self._tell(events.DELETED, record, self._now())
                around.store.drop(record.id)
        self._locks.pop(record.id, None)

    async def _clear(self, record: ContainerRecord) -> None:
        around = self.around
        around.roots.pop(record.id, None)
        await self._end_anything(record.id)
        await around.logs.close(record.id)
        await all_of(
            (
                around.objects.delete(record.id),
                around.snapshots.remove(record.snapshot_key),
                around.logs.remove(record.id),
                around.places.release(record.id),
            )
        )

    async def _end_anything(self, id_: str) -> None:
        """Who else uses the runtime may have started it again."""
        tasks, waited = self.around.tasks, 0.0
        while True:
            try:
                await tasks.delete(id_)
            except ApiError:
                if waited >= KILL_SECONDS_MAX:
                    raise
                await tasks.kill(id_, signals.SIGKILL, everyone=True)
                await self.around.clock.sleep(AGAIN_SECONDS)
                waited += AGAIN_SECONDS
            else:
                return

    async def update(self, id_: str, asked: Resources) -> None:
        """Other limits; what they do not speak of stays. NotFound."""
        around = self.around
        async with self._lock(around.store.container(id_).id):
            record = around.store.container(id_)
            if record.state not in {CREATED, RUNNING}:
                raise InternalError(f"container {record.id!r} is in state EXITED")
            linux = record.config.linux
            wanted = resources.merged(linux.resources, asked)
            limits = resources.limits(wanted, counts_swap=around.machine.counts_swap)
            if record.state == RUNNING:
                await around.tasks.update(record.id, limits)
            else:
                await around.objects.update_spec(record.id, limits)
            config = replace(record.config, linux=replace(linux, resources=wanted))
            around.store.put(replace(record, config=config))

    def _tell(self, type_: int, record: ContainerRecord, at: int) -> None:
        self.around.events.tell(Event(type_, record.id, record.sandbox_id, at))

    def _now(self) -> int:
        return int(self.around.clock.now() * 1_000_000_000)

    def _lock(self, id_: str) -> asyncio.Lock:
        return self._locks.setdefault(id_, asyncio.Lock())
