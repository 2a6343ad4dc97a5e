"""Objects that pods name are watched as long as one of them is there, and no longer."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

from pilothouse.services.kubelet.adapters.volumes.references import Reference, References
from pilothouse.services.machinery.errors import NotFound
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import CONFIG_MAPS
from pilothouse.services.runtime.client.objects import Event, Selection
from pilothouse.services.runtime.clock import SystemClock

SHOWN = Reference(CONFIG_MAPS, Selection("ns", fields="metadata.name=shown"))


class FakeObjects:
    """One ConfigMap, and the streams that are open on it."""

    def __init__(self) -> None:
        self.body: dict | None = {"data": {"k": "1"}}
        self.revision = 1
        self.streams: list[asyncio.Queue] = []
        self.opened = 0

    def _text(self) -> str:
        metadata = {"name": "shown", "namespace": "ns", "resourceVersion": str(self.revision)}
        return json.dumps({"metadata": metadata, **(self.body or {})})

    async def get(self, resource, key):
        if self.body is None:
            raise NotFound("there is none")
        return self._text()

    async def watch(self, resource, selection, *, revision=0):
        queue = asyncio.Queue()
        self.streams.append(queue)
        self.opened += 1
        try:
            present = [] if self.body is None else [Event("ADDED", self.revision, self._text())]
            yield [*present, Event("BOOKMARK", self.revision, "", initial_end=True)]
            while True:
                yield [await queue.get()]
        finally:
            self.streams.remove(queue)

    def change(self, **body: object) -> None:
        self.revision += 1
        self.body = body
        for queue in self.streams:
            queue.put_nowait(Event("MODIFIED", self.revision, self._text()))


class Told(list):
    """Who was told, as often as he was."""

    def __init__(self) -> None:
        super().__init__()
        self.changed = asyncio.Event()

    def of(self, name: str):
        def tell() -> None:
            self.append(name)
            self.changed.set()

        return tell

    async def wait(self, number: int) -> None:
        async with asyncio.timeout(30):
            while len(self) < number:
                self.changed.clear()
                await self.changed.wait()


@contextlib.asynccontextmanager
async def _running() -> AsyncIterator[tuple[References, FakeObjects]]:
    objects = FakeObjects()
    references = References(objects, SystemClock())
    async with asyncio.TaskGroup() as group:
        running = group.create_task(references.run())
        yield references, objects
        running.cancel()


async def _settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_one_watch_for_all_who_hold_it_and_none_for_nobody() -> None:
    async with _running() as (references, objects):
        told = Told()
        for holder in ("a", "b", "a"):
            (found,) = await references.read(SHOWN, holder, told.of(holder))
            assert found.data == {"k": "1"}
        assert (len(objects.streams), objects.opened, told) == (1, 1, [])
        objects.change(data={"k": "2"})
        await told.wait(2)
        assert sorted(told) == ["a", "b"]
        assert (await references.read(SHOWN, "a", told.of("a")))[0].data == {"k": "2"}
        references.keep("a", frozenset())
        await _settle()
        assert (len(objects.streams), len(references)) == (1, 1)
        references.keep("b", frozenset())
        await _settle()
        assert (objects.streams, len(references)) == ([], 0)
        references.keep("b", frozenset())


async def test_what_is_immutable_is_read_once() -> None:
    async with _running() as (references, objects):
        told = Told()
        await references.read(SHOWN, "a", told.of("a"))
        objects.change(data={"k": "2"}, immutable=True)
        await told.wait(1)
        await _settle()
        assert objects.streams == []
        (found,) = await references.read(SHOWN, "b", told.of("b"))
        assert (found.data, objects.opened) == ({"k": "2"}, 1)


async def test_what_is_absent_is_told_when_it_comes() -> None:
    async with _running() as (references, objects):
        told, objects.body = Told(), None
        assert await references.read(SHOWN, "a", told.of("a")) == []
        assert await references.fetch(CONFIG_MAPS, Key("ns", "shown")) == []
        objects.change(data={"k": "1"})
        await told.wait(1)
        (found,) = await references.fetch(CONFIG_MAPS, Key("ns", "shown"))
        assert found.data == {"k": "1"}
