"""Sandboxes from their making to their removal."""

import asyncio
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from signal import SIGKILL
from typing import Protocol

from msgspec.structs import replace

from pilothouse.cri_shim.concurrency import all_of
from pilothouse.cri_shim.configs import NODE, POD, PodSandboxConfig
from pilothouse.cri_shim.oci import resources, sandbox
from pilothouse.cri_shim.oci.facts import Machine
from pilothouse.cri_shim.ports import Exit, ImageConfig, Images
from pilothouse.cri_shim.records import NOTREADY, READY, RUNNING, ContainerRecord, SandboxRecord
from pilothouse.cri_shim.store import events
from pilothouse.cri_shim.store.events import Event, Events
from pilothouse.cri_shim.store.records import Store
from pilothouse.cri_shim.surroundings import Made, Network, Objects, SandboxPlaces, Tasks
from pilothouse.services.machinery.errors import ApiError, Invalid, NotFound
from pilothouse.services.runtime.clock import Clock

KILL_SECONDS_MAX = 30.0


class Inhabitants(Protocol):
    """The containers of sandboxes."""

    async def stop(self, id_: str, grace_seconds: int) -> None: ...
    async def remove(self, id_: str) -> None: ...


@dataclass
class Surroundings:
    """What sandboxes need, put together once."""

    store: Store
    events: Events
    tasks: Tasks
    objects: Objects
    network: Network
    places: SandboxPlaces
    images: Images
    machine: Machine
    clock: Clock
    pause_image: str
    handlers: dict[str, str]  # the shim by the handler's name; "" is the default


@dataclass
class Sandboxes:
    """One at a time acts on one sandbox."""

    around: Surroundings
    inhabitants: Inhabitants
    _locks: dict[str, asyncio.Lock] = field(default_factory=dict)
    _pause_image: ImageConfig | None = None

    async def run(self, config: PodSandboxConfig, handler: str) -> str:
        """Make it, network and all; its id. What failed leaves nothing."""
        sandbox.refuse(config)
        if handler not in self.around.handlers:
            raise Invalid(f'no runtime for "{handler}" is configured')
        record = self._planned(config, handler)
        self.around.store.begin(record)
        try:
            record = await self._make(record)
        except BaseException:
            with suppress(ApiError, OSError):
                await self._undo(record)
            raise
        self.around.store.made(record)
        self._tell(events.CREATED, record.id, record.created_at)
        self._tell(events.STARTED, record.id, record.created_at)
        return record.id

    def _planned(self, config: PodSandboxConfig, handler: str) -> SandboxRecord:
        id_ = secrets.token_hex(32)
        own_network = config.linux.security_context.namespace_options.network == POD
        return SandboxRecord(
            id=id_,
            config=config,
            runtime_handler=handler,
            created_at=self._now(),
            netns=self.around.places.netns(id_) if own_network else "",
            attached=own_network,
            cgroup_path=resources.cgroup_path(
                config.linux.cgroup_parent, id_, systemd=self.around.machine.systemd_cgroups
            ),
        )

    async def _make(self, record: SandboxRecord) -> SandboxRecord:
        around = self.around
        ipc = record.config.linux.security_context.namespace_options.ipc
        files = around.places.sandbox(record.id, shares_ipc=ipc == NODE)
        image = await self._pause()
        root = await around.places.pause_root(image.chain_id)
        await around.places.make(record, files)
        spec = sandbox.spec(record, root, image, files, around.machine)
        made = Made(
            record.id, "sandbox", image.ref, spec, around.handlers[record.runtime_handler],
            record.config.labels,
        )  # fmt: skip
        ips, pid = await all_of((self._attach(record), self._create(made)))
        await around.tasks.start(record.id)
        return replace(record, state=READY, pid=pid, ips=ips)

    async def _pause(self) -> ImageConfig:
        """Asked once: its files are copied out, so nothing else is needed of it."""
        if self._pause_image is None:
            try:
                self._pause_image = await self.around.images.resolve(self.around.pause_image)
            except NotFound:
                self._pause_image = await self.around.images.pull(self.around.pause_image)
        return self._pause_image

    async def _attach(self, record: SandboxRecord) -> tuple[str, ...]:
        return await self.around.network.attach(record) if record.netns else ()

    async def _create(self, made: Made) -> int:
        await self.around.objects.create(made)
        return await self.around.tasks.create(made.id, (), None)

    async def _undo(self, record: SandboxRecord) -> None:
        around = self.around
        await around.tasks.kill(record.id, SIGKILL)
        with suppress(ApiError):
            await around.tasks.delete(record.id)
        if record.attached:
            with suppress(ApiError):
                await around.network.detach(record)
        await around.objects.delete(record.id)
        await around.places.release(record)
        await around.places.remove(record)
        around.store.drop(record.id)

    async def stop(self, id_: str) -> None:
        """End all that runs in it and give its network back; fine when that is done, or it gone."""
        try:
            record = self.around.store.sandbox(id_)
        except NotFound:
            return
        async with self._lock(record.id):
            await self._stop(self.around.store.sandbox(record.id))

    async def _stop(self, record: SandboxRecord) -> None:
        around = self.around
        running = [item for item in around.store.of_sandbox(record.id) if item.state == RUNNING]
        await all_of(self._stop_container(item) for item in running)
        await all_of((self._end(record), self._detach(record)))
        await around.places.release(record)

    async def _stop_container(self, record: ContainerRecord) -> None:
        await self.inhabitants.stop(record.id, 0)

    async def _end(self, record: SandboxRecord) -> None:
        """Kill the pause process, and see it gone."""
        around = self.around
        await around.tasks.kill(record.id, SIGKILL)
        with suppress(TimeoutError):
            async with asyncio.timeout(KILL_SECONDS_MAX):
                await around.store.wait_end(record.id)
        if around.store.sandbox(record.id).state == READY:
            await self.ended(record.id, Exit(128 + SIGKILL, self._now()))
        elif not record.pid:
            # It was being made when this server ended.
            await around.tasks.delete(record.id)

    async def _detach(self, record: SandboxRecord) -> None:
        if record.attached:
            await self.around.network.detach(record)
            now = self.around.store.sandbox(record.id)
            self.around.store.put(replace(now, attached=False))

    async def remove(self, id_: str) -> None:
        """With all its containers; fine when it is gone."""
        try:
            record = self.around.store.sandbox(id_)
        except NotFound:
            return
        around = self.around
        async with self._lock(record.id):
            record = around.store.sandbox(record.id)
            await self._stop(record)
            await all_of(
                self.inhabitants.remove(item.id) for item in around.store.of_sandbox(record.id)
            )
            await all_of((around.objects.delete(record.id), around.places.remove(record)))
            self._tell(events.DELETED, record.id, self._now())
            around.store.drop(record.id)
        self._locks.pop(record.id, None)

    async def clear(self, id_: str) -> None:
        """What is left of a sandbox of which no record tells."""
        around = self.around
        record = SandboxRecord(
            id=id_, config=PodSandboxConfig(), created_at=0, netns=around.places.netns(id_)
        )
        with suppress(ApiError):
            await around.network.detach(record)
        await around.places.release(record)
        await around.places.remove(record)

    async def ended(self, id_: str, exit_: Exit) -> None:
        """The pause process ended: the sandbox is not ready any more."""
        around = self.around
        await around.tasks.delete(id_)
        with suppress(NotFound):
            record = around.store.sandbox(id_)
            if record.state == READY:
                around.store.put(replace(record, state=NOTREADY, pid=0, exited_at=exit_.at))
                self._tell(events.STOPPED, id_, exit_.at)

    def _tell(self, type_: int, id_: str, at: int) -> None:
        self.around.events.tell(Event(type_, id_, id_, at))

    def _now(self) -> int:
        return int(self.around.clock.now() * 1_000_000_000)

    def _lock(self, id_: str) -> asyncio.Lock:
        return self._locks.setdefault(id_, asyncio.Lock())
