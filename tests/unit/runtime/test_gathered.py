"""Writes that go together: fewer messages, and to each caller what it would get alone."""

import asyncio

import msgspec
import pytest

from pilothouse.protos.mesh.v1 import objects_pb2 as pb
from pilothouse.protos.mesh.v1.objects_pb2_grpc import (
    ObjectsServicer,
    add_ObjectsServicer_to_server,
)
from pilothouse.services.machinery.errors import NotFound, ServiceUnavailable
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import CONFIG_MAPS
from pilothouse.services.runtime.client import gathered
from pilothouse.services.runtime.client.gathered import GatheredObjects
from pilothouse.services.runtime.rpc.channel import open_channel
from pilothouse.services.runtime.rpc.server import Listen, Service, serve


class Written(ObjectsServicer):
    """Tells what each message held; what is to be deleted as ``slow`` waits, ``gone`` is not."""

    def __init__(self):
        self.messages = []
        self.claims = []
        self.slow = asyncio.Event()
        self.breaks = False

    async def Delete(self, request, context):  # noqa: N802 - as the contract names it
        self.messages.append([request.name])
        return pb.Object(name=request.name)

    async def WriteMany(self, request, context):  # noqa: N802 - as the contract names it
        names = [write.delete.name for write in request.writes]
        self.messages.append(names)
        self.claims.append(dict(context.invocation_metadata()).get("pilothouse-lease"))
        slow = [index for index, name in enumerate(names) if name == "slow"]
        quick = [index for index in reversed(range(len(names))) if index not in slow]
        yield pb.WriteManyResponse(written=[self._written(index, names) for index in quick])
        if self.breaks:
            return
        if slow:
            await self.slow.wait()
            yield pb.WriteManyResponse(written=[self._written(index, names) for index in slow])

    def _written(self, index, names):
        if names[index] == "gone":
            status = msgspec.json.encode(NotFound("gone").status()).decode()
            return pb.Written(index=index, outcome=pb.Outcome(status=status))
        return pb.Written(index=index, outcome=pb.Outcome(object=pb.Object(name=names[index])))


@pytest.fixture
async def server(tmp_path):
    written = Written()
    service = Service(
        "pilothouse.mesh.v1.Objects", lambda server: add_ObjectsServicer_to_server(written, server)
    )
    written.path = str(tmp_path / "server.sock")
    async with serve([service], [Listen(written.path)]):
        yield written


@pytest.fixture
async def objects(server):
    async with open_channel(f"unix://{server.path}") as channel:
        made = GatheredObjects(channel)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(made.run())
            await asyncio.sleep(0)
            yield made
            running.cancel()


def delete(objects, name):
    return objects.delete(CONFIG_MAPS, Key("ns", name))


async def outcomes(objects, *names):
    async def outcome(name):
        try:
            return await delete(objects, name)
        except (NotFound, ServiceUnavailable) as error:
            return error.message

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(outcome(name)) for name in names]
    return [task.result() for task in tasks]


async def test_what_is_written_at_once_is_one_message_and_each_has_its_own_answer(server, objects):
    assert await outcomes(objects, "one", "gone", "two") == [None, "gone", None]
    assert server.messages == [["one", "gone", "two"]]
    assert objects.calls == {("DELETE", 200): 2, ("DELETE", 404): 1}


async def test_one_alone_is_a_plain_call(server, objects):
    await delete(objects, "one")
    await delete(objects, "two")
    assert server.messages == [["one"], ["two"]]
    assert objects.calls == {("DELETE", 200): 2}


async def test_a_message_has_its_bound(server, objects, monkeypatch):
    monkeypatch.setattr(gathered, "TOGETHER_MAX", 2)
    await outcomes(objects, "one", "two", "three")
    assert sorted(server.messages, key=len) == [["three"], ["one", "two"]]


async def test_a_write_that_waits_keeps_no_other_waiting(server, objects):
    async with asyncio.TaskGroup() as group:
        slow = group.create_task(delete(objects, "slow"))
        others = [group.create_task(delete(objects, name)) for name in ("one", "two")]
        async with asyncio.timeout(10):
            await asyncio.wait(others)
        assert not slow.done()
        await outcomes(objects, "three", "four")
        assert not slow.done()
        server.slow.set()
    assert server.messages == [["slow", "one", "two"], ["three", "four"]]


async def test_what_nobody_answered_is_told_as_that(server, objects):
    server.breaks = True
    said = await outcomes(objects, "one", "slow")
    assert said == [None, "the message was not answered to its end"]


async def test_a_caller_who_gave_up_writes_nothing_more(server, objects):
    async with asyncio.TaskGroup() as group:
        early = group.create_task(delete(objects, "early"))
        others = [group.create_task(delete(objects, name)) for name in ("one", "two")]
        await asyncio.sleep(0)
        early.cancel()
    assert all(task.exception() is None for task in others)
    assert server.messages == [["one", "two"]]


async def test_writes_of_one_term_do_not_go_under_the_next(server):
    terms = ["first"]
    async with open_channel(f"unix://{server.path}") as channel:
        objects = GatheredObjects(channel, claim=lambda: (("pilothouse-lease", terms[-1]),))
        async with asyncio.TaskGroup() as group:
            running = group.create_task(objects.run())
            await asyncio.sleep(0)
            waiting = [group.create_task(delete(objects, name)) for name in ("one", "two")]
            await asyncio.sleep(0)
            terms.append("second")
            await outcomes(objects, "three", "four")
            await asyncio.wait(waiting)
            running.cancel()
    assert sorted(zip(server.claims, server.messages, strict=True)) == [
        ("first", ["one", "two"]), ("second", ["three", "four"]),
    ]  # fmt: skip


async def test_before_and_after_it_runs_each_is_a_call(server):
    async with open_channel(f"unix://{server.path}") as channel:
        objects = GatheredObjects(channel)
        await outcomes(objects, "one", "two")
        async with asyncio.TaskGroup() as group:
            running = group.create_task(objects.run())
            await asyncio.sleep(0)
            late = group.create_task(delete(objects, "late"))
            await asyncio.sleep(0)
            running.cancel()
        assert late.exception() is None
        await delete(objects, "three")
    assert sorted(server.messages) == [["late"], ["one"], ["three"], ["two"]]
