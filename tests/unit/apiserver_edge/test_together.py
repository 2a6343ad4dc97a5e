"""Writes of one message on the server's side: as they end, each for itself."""

import asyncio

import msgspec
import pytest

from pilothouse.protos.mesh.v1 import objects_pb2 as pb
from pilothouse.services.apiserver.rpc import together
from pilothouse.services.machinery.errors import BadRequest, NotFound


async def test_each_is_told_when_it_is_known():
    held = {name: asyncio.Event() for name in "abc"}

    async def act(name):
        await held[name].wait()
        if name == "b":
            raise NotFound("b is not there")
        if name == "c":
            raise ZeroDivisionError
        return pb.Object(name=name)

    told = together.as_known("abc", act)
    for index, name in ((1, "b"), (0, "a"), (2, "c")):
        held[name].set()
        async with asyncio.timeout(10):
            (written,) = await anext(told)
        assert written.index == index
        if name == "a":
            assert written.outcome.object.name == "a"
        else:
            code = msgspec.json.decode(written.outcome.status)["code"]
            assert code == {"b": 404, "c": 500}[name]
    with pytest.raises(StopAsyncIteration):
        await anext(told)


async def test_those_that_end_together_are_told_together():
    async def act(name):
        return pb.Object(name=name)

    told = [[written.index for written in some] async for some in together.as_known("abc", act)]
    assert told == [[0, 1, 2]]


async def test_a_message_has_its_bound():
    async def act(name):
        raise AssertionError(name)

    with pytest.raises(BadRequest, match="at most 256"):
        await anext(together.as_known("x" * 257, act))


async def test_nothing_is_written_after_the_caller_went():
    begun, ended = asyncio.Event(), []

    async def act(name):
        try:
            begun.set()
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            ended.append(name)
            raise

    async def ask():
        async for _ in together.as_known("ab", act):
            raise AssertionError

    async with asyncio.TaskGroup() as group:
        asking = group.create_task(ask())
        await begun.wait()
        asking.cancel()
    assert sorted(ended) == ["a", "b"]


async def test_who_stops_listening_ends_what_is_under_way_without_an_error():
    ended = []

    async def act(name):
        try:
            await asyncio.sleep(0 if name == "a" else 3600)
        finally:
            ended.append(name)
        return pb.Object(name=name)

    told = together.as_known("ab", act)
    assert [written.index for written in await anext(told)] == [0]
    await told.aclose()
    assert ended == ["a", "b"]
