"""What runs, what ended meanwhile, what nobody knows: after a restart of this server or containerd.

Ends are told by the runtime's events. While the stream stands they are all there is; when it stands
anew, what was missed is looked up once.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from signal import SIGKILL

from pilothouse.cri_shim.containers import endings
from pilothouse.cri_shim.containers.containers import Containers
from pilothouse.cri_shim.ports import Exit, Logs
from pilothouse.cri_shim.records import CREATED, READY, RUNNING, ContainerRecord
from pilothouse.cri_shim.sandboxes.sandboxes import Sandboxes
from pilothouse.cri_shim.store.records import Store
from pilothouse.cri_shim.surroundings import (
    Ended,
    Objects,
    OutOfMemory,
    RuntimeEvents,
    Snapshots,
    Task,
    Tasks,
)
from pilothouse.services.machinery.errors import ApiError, NotFound
from pilothouse.services.runtime import telemetry
from pilothouse.services.runtime.clock import Clock

AGAIN_SECONDS = 0.5
LATE_SECONDS = 16.0
"""How long a shim says again what nobody heard, and how long a task may be missing on a machine
that is busy; then it is lost.
"""


@dataclass
class Recovery:
    """Follows the runtime; looks once more whenever it lost sight of it."""

    store: Store
    tasks: Tasks
    objects: Objects
    snapshots: Snapshots
    logs: Logs
    sandboxes: Sandboxes
    containers: Containers
    events: RuntimeEvents
    clock: Clock

    async def begin(self) -> None:
        """Before anybody is served: take up what runs, clear what is nobody's."""
        await self._look(await self._list())
        for record in self.store.containers():
            if record.state == RUNNING:
                await self.logs.open(self.store.io(record.id))
        known = {item.id for item in self.store.containers()}
        known |= {item.id for item in self.store.sandboxes()}
        for id_ in await self.objects.ids() - known:
            await self._clear(id_)

    async def run(self) -> None:
        """Follow the events for ever."""
        while True:
            try:
                async with asyncio.TaskGroup() as group:
                    async for event in self.events.listen():
                        group.create_task(self._take(event))
            except* ApiError as failures:
                telemetry.logger().warning("runtime events", error=str(failures.exceptions[0]))
            await self.clock.sleep(AGAIN_SECONDS)

    async def _take(self, event: Ended | OutOfMemory | None) -> None:
        with suppress(NotFound):
            if isinstance(event, OutOfMemory):
                self.containers.short_of_memory(event.id)
            elif isinstance(event, Ended):
                await self._ended(event.id, event.exit)
            else:
                for wait in (AGAIN_SECONDS, LATE_SECONDS):
                    await self._look(await self._list())
                    await self.clock.sleep(wait)
                await self._look(await self._list(), finally_=True)

    async def _list(self) -> dict[str, Task]:
        return {task.id: task for task in await self.tasks.list()}

    async def _ended(self, id_: str, exit_: Exit) -> None:
        if id_ in {item.id for item in self.store.containers()}:
            await self.containers.ended(id_, exit_)
        else:
            await self.sandboxes.ended(id_, exit_)

    async def _look(self, tasks: dict[str, Task], *, finally_: bool = False) -> None:
        """Compare what is thought to run with what does; ``finally_``: nothing is told any more."""
        for sandbox in self.store.sandboxes():
            task = tasks.get(sandbox.id)
            if sandbox.state == READY and (task is None or not task.is_running):
                exit_ = task.exit if task else Exit(endings.UNKNOWN_CODE, self._now())
                await self.sandboxes.ended(sandbox.id, exit_)
        for record in self.store.containers():
            task = tasks.get(record.id)
            if task is None and record.sandbox_id in tasks and not finally_:
                # The sandbox's shim is there, and its word may be on the way.
                continue
            await self._look_at(record, task)

    async def _look_at(self, record: ContainerRecord, task: Task | None) -> None:
        if record.state == RUNNING and task is None:
            await self.containers.lost(record.id)
        elif record.state == RUNNING and task is not None and not task.is_running:
            await self.containers.ended(record.id, task.exit)
        elif record.state == CREATED and task is not None:
            await self.containers.half_started(record.id, task)

    async def _clear(self, id_: str) -> None:
        """Something of ours of which no record tells."""
        with suppress(ApiError):
            await self.tasks.kill(id_, SIGKILL, everyone=True)
            await self.clock.sleep(AGAIN_SECONDS)
            await self.tasks.delete(id_)
            await self.objects.delete(id_)
            await self.snapshots.remove(id_)
            await self.sandboxes.clear(id_)

    def _now(self) -> int:
        return int(self.clock.now() * 1_000_000_000)
