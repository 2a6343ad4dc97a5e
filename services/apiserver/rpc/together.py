"""Several writes of one message, side by side: what came of each."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

import msgspec

from pilothouse.protos.mesh.v1 import objects_pb2 as pb
from pilothouse.services.machinery.errors import ApiError, BadRequest, InternalError
from pilothouse.services.runtime import telemetry

WRITES_MAX = 256
"""In one message."""

_Request = TypeVar("_Request")
Act = Callable[[_Request], Awaitable[pb.Object]]


async def each(requests: Sequence[_Request], act: Act[_Request]) -> list[pb.Outcome]:
    """In the order of the requests, after the last has ended."""
    _check(requests)
    outcomes = [pb.Outcome() for _ in requests]

    async def attempt(request: _Request, outcome: pb.Outcome) -> None:
        outcome.CopyFrom(await _outcome(request, act))

    async with asyncio.TaskGroup() as group:
        for request, outcome in zip(requests, outcomes, strict=True):
            group.create_task(attempt(request, outcome))
    return outcomes


async def as_known(
    requests: Sequence[_Request], act: Act[_Request]
) -> AsyncIterator[list[pb.Written]]:
    """As they end, those together that ended meanwhile: one that waits keeps no other waiting."""
    _check(requests)
    known: list[pb.Written] = []
    some = asyncio.Event()

    async def attempt(index: int, request: _Request) -> None:
        known.append(pb.Written(index=index, outcome=await _outcome(request, act)))
        some.set()

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(attempt(*item)) for item in enumerate(requests)]
        left = len(requests)
        while left:
            await some.wait()
            some.clear()
            told = known.copy()
            known.clear()
            left -= len(told)
            try:
                yield told
            except GeneratorExit:  # nobody listens any more; to the group it were an error
                for task in tasks:
                    task.cancel()
                return


def _check(requests: Sequence[_Request]) -> None:
    if len(requests) > WRITES_MAX:
        raise BadRequest(f"at most {WRITES_MAX} in one message")


async def _outcome(request: _Request, act: Act[_Request]) -> pb.Outcome:
    try:
        return pb.Outcome(object=await act(request))
    except Exception as error:  # noqa: BLE001 - a bug with one is not the others' failure
        if not isinstance(error, ApiError):
            telemetry.logger().error("write failed", exc_info=error)
            error = InternalError("internal error; the service's log has the trace")
        return pb.Outcome(status=msgspec.json.encode(error.status()).decode())
