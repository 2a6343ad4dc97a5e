"""Writes of one process that go together: a call on the API server costs more than what it asks.

::

    create, update, patch, delete ──▶ waiting ──▶ one message ──▶ answers, each when it is known
                                        alone: a call of its own

A write that comes after a quiet moment goes at once. While many come, a message goes every some
milliseconds with all that came meanwhile. A write that the server is slow about keeps no other
waiting.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec
from grpc import aio
from typing_extensions import override

from pilothouse.protos.mesh.v1 import objects_pb2 as pb
from pilothouse.services.machinery.errors import ApiError, ServiceUnavailable, from_status
from pilothouse.services.runtime.client.objects import (
    CALL_SECONDS_MAX,
    CREATED,
    OK,
    Objects,
    time,
)
from pilothouse.services.runtime.rpc.claims import Pairs
from pilothouse.services.runtime.rpc.errors import from_rpc

TOGETHER_MAX = 64
"""Writes in one message."""
PAUSE_SECONDS_EACH = 0.004
"""After a message, for each of its writes: what comes faster than that goes in ever larger ones."""
PAUSE_SECONDS_MAX = 0.03

_ACTS = {
    pb.CreateRequest: "create",
    pb.UpdateRequest: "update",
    pb.PatchRequest: "patch",
    pb.DeleteRequest: "delete",
}


@dataclass(slots=True, eq=False)
class _Waiting:
    """``answer`` is None for one that is to go alone."""

    write: pb.Write
    claim: Pairs
    answer: asyncio.Future[pb.Object | None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class GatheredObjects(Objects):
    """The same promises as :class:`Objects`; writes are gathered while :meth:`run` runs."""

    def __init__(
        self,
        channel: aio.Channel,
        *,
        before_write: Callable[[], None] | None = None,
        claim: Callable[[], Pairs] = tuple,
    ) -> None:
        super().__init__(channel, before_write=before_write, claim=claim)
        self._group: asyncio.TaskGroup | None = None
        self._waiting: list[_Waiting] = []
        self._timer: asyncio.TimerHandle | None = None
        self._next = 0.0

    async def run(self) -> None:
        """Until cancelled; before and after, each write is a call of its own."""
        try:
            async with asyncio.TaskGroup() as self._group:
                await asyncio.get_running_loop().create_future()
        finally:
            self._group = None
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            for item in self._waiting:
                _settle(item, None)
            self._waiting.clear()

    @override
    async def _write(self, verb: str, method: Any, request: Any) -> Any:
        act = _ACTS.get(type(request))
        if self._group is None or act is None:
            return await super()._write(verb, method, request)
        self._before_write()
        mine = _Waiting(pb.Write(**cast("Any", {act: request})), self._claim())
        self._waiting.append(mine)
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(max(self._next, loop.time()), self._send)
        began = time()
        try:
            answer = await mine.answer
        except ApiError as error:
            self._answered(verb, error.http, began)
            raise
        if answer is None:
            alone = method(request, timeout=CALL_SECONDS_MAX, metadata=mine.claim)
            return await self._answer(verb, alone)
        self._answered(verb, CREATED if verb == "POST" else OK, began)
        return answer

    def _send(self) -> None:
        """All that wait, as few messages as may be."""
        self._timer = None
        if self._group is None:
            return
        waiting = [item for item in self._waiting if not item.answer.done()]
        pause = min(PAUSE_SECONDS_EACH * len(waiting), PAUSE_SECONDS_MAX)
        self._next = asyncio.get_running_loop().time() + pause
        self._waiting.clear()
        by_claim: dict[Pairs, list[_Waiting]] = {}
        for item in waiting:
            by_claim.setdefault(item.claim, []).append(item)
        for claim, items in by_claim.items():
            for first in range(0, len(items), TOGETHER_MAX):
                together = items[first : first + TOGETHER_MAX]
                if len(together) == 1:
                    _settle(together[0], None)
                else:
                    self._group.create_task(self._call(together, claim))

    async def _call(self, together: list[_Waiting], claim: Pairs) -> None:
        failure: ApiError = ServiceUnavailable("the message was not answered to its end")
        request = pb.WriteManyRequest(writes=[item.write for item in together])
        call = self._stub.WriteMany(request, timeout=CALL_SECONDS_MAX, metadata=claim)
        try:
            async for answer in call:
                for written in answer.written:
                    _settle(together[written.index], _said(written.outcome))
        except aio.AioRpcError as error:
            failure = from_rpc(error)
        finally:
            call.cancel()
            for item in together:
                _settle(item, failure)


def _said(outcome: pb.Outcome) -> pb.Object | ApiError:
    if outcome.HasField("status"):
        return from_status(msgspec.json.decode(outcome.status))
    return outcome.object


def _settle(item: _Waiting, said: pb.Object | ApiError | None) -> None:
    if item.answer.done():
        return
    if isinstance(said, ApiError):
        item.answer.set_exception(said)
        item.answer.exception()  # whoever asked may have gone
    else:
        item.answer.set_result(said)
