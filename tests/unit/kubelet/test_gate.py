"""Writes of many nodes: patches go out together, and each gets its own answer."""

import asyncio

import pytest

from pilothouse.services.kubelet.adapters.hollow import gate
from pilothouse.services.kubelet.adapters.hollow.gate import GatedObjects
from pilothouse.services.machinery.errors import NotFound, ServiceUnavailable, Timeout
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import LEASES
from pilothouse.services.runtime.rpc.channel import open_channel


class Recorded(GatedObjects):
    """Answers with the name of what was patched; ``gone`` ones are not there."""

    def __init__(self, channel):
        super().__init__(channel)
        self.messages = []
        self.failure = None
        self.held = asyncio.Event()
        self.held.set()

    async def patch_many(self, changes):
        self.messages.append([change.key.name for change in changes])
        await self.held.wait()
        if self.failure is not None:
            raise self.failure
        return [
            NotFound(name) if name.startswith("gone") else f"patched {name}"
            for name in self.messages[-1]
        ]


@pytest.fixture
async def objects(monkeypatch):
    monkeypatch.setattr(gate, "GATHER_SECONDS", 0.001)
    async with open_channel("unix:///nowhere") as channel:
        yield Recorded(channel)


def patch(objects, name):
    return objects.patch(LEASES, Key("ns", name), {"spec": {}})


async def every(objects, names):
    """What came of each."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_outcome(objects, name)) for name in names]
    return [task.result() for task in tasks]


async def _outcome(objects, name):
    try:
        return await patch(objects, name)
    except (NotFound, Timeout) as error:
        return error.message


async def test_those_that_wait_go_together_and_each_gets_its_answer(objects):
    names = [f"gone-{i}" if i % 7 == 0 else f"node-{i}" for i in range(500)]
    answers = await every(objects, names)
    assert answers == [name if "gone" in name else f"patched {name}" for name in names]
    assert sorted(name for message in objects.messages for name in message) == sorted(names)
    sizes = [len(message) for message in objects.messages]
    assert max(sizes) == gate.PATCHES_MAX
    assert len(sizes) < 20


async def test_one_alone_is_not_kept_waiting_for_company(objects):
    assert await patch(objects, "only") == "patched only"
    assert objects.messages == [["only"]]


async def test_a_message_that_fails_fails_all_that_is_in_it(objects):
    objects.failure = Timeout("too late")
    assert await every(objects, ["a", "b", "c"]) == ["too late"] * 3


async def test_who_goes_away_takes_along_its_patch_or_its_message(objects):
    objects.held.clear()
    async with asyncio.TaskGroup() as group:
        sender = group.create_task(patch(objects, "first"))
        company = group.create_task(_unavailable(objects, "second"))
        while not objects.messages:
            await asyncio.sleep(0.001)
        assert objects.messages == [["first", "second"]]
        sender.cancel()
        assert await company == "the message was not sent to its end"
        objects.held.set()
        waiting = group.create_task(patch(objects, "third"))
        await asyncio.sleep(0)
        waiting.cancel()
    assert await patch(objects, "fourth") == "patched fourth"
    assert objects.messages[1:] == [["fourth"]]


async def _unavailable(objects, name):
    try:
        return await patch(objects, name)
    except ServiceUnavailable as error:
        return error.message
