"""etcd v3 ``Watch`` over the store: many watches on one stream.

Responses wait in a queue of :data:`QUEUED_RESPONSES_MAX`. Behind it each watch is a watcher of the
hub: a slow client's watch is served from the disk, and cancelled with ``compact_revision`` once the
history that it needs is gone.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from typing_extensions import override

from pilothouse.protos.etcd import kv_pb2, rpc_pb2
from pilothouse.protos.etcd.rpc_pb2_grpc import WatchServicer
from pilothouse.services.machinery.storage import Change, Compacted, Unavailable
from pilothouse.services.runtime.rpc.errors import Context
from pilothouse.services.store import errors
from pilothouse.services.store.hub import Watcher
from pilothouse.services.store.keyspace import Keyspace
from pilothouse.services.store.rpc import codec
from pilothouse.services.store.rpc.header import header
from pilothouse.services.store.spans import of_request

QUEUED_RESPONSES_MAX = 16
PROGRESS_SECONDS = 600.0
NO_WATCH = -1


class Watch(WatchServicer):
    """The service; ``group`` is the parent of the streams' tasks."""

    def __init__(
        self,
        keyspace: Keyspace,
        group: asyncio.TaskGroup,
        *,
        progress_seconds: float = PROGRESS_SECONDS,
    ) -> None:
        self._keyspace = keyspace
        self._group = group
        self._progress_seconds = progress_seconds

    @override
    async def Watch(
        self, request_iterator: AsyncIterator[rpc_pb2.WatchRequest], context: Context
    ) -> AsyncIterator[rpc_pb2.WatchResponse]:
        session = _Session(self._keyspace, self._progress_seconds)
        task = self._group.create_task(session.run(request_iterator))
        try:
            while (response := await session.responses.get()) is not None:
                yield response
        finally:
            task.cancel()
        if session.failure is not None:
            raise session.failure


@dataclass(slots=True)
class _Watch:
    """One watch of a stream."""

    id: int
    request: rpc_pb2.WatchCreateRequest
    watcher: Watcher
    after: int
    task: asyncio.Task[None] | None = None
    quiet: bool = True
    asked: bool = False


class _Session:
    """One stream: its watches, and what is on its way to the client."""

    def __init__(self, keyspace: Keyspace, progress_seconds: float) -> None:
        self.responses: asyncio.Queue[rpc_pb2.WatchResponse | None] = asyncio.Queue(
            QUEUED_RESPONSES_MAX
        )
        self.failure: Exception | None = None
        self._keyspace = keyspace
        self._progress_seconds = progress_seconds
        self._watches: dict[int, _Watch] = {}
        self._next_id = 0
        self._progress: dict[int, int] | None = None

    async def run(self, requests: AsyncIterator[rpc_pb2.WatchRequest]) -> None:
        """Serve requests until the client has no more, or goes."""
        try:
            async with asyncio.TaskGroup() as group:
                ticks = group.create_task(self._tick())
                async for request in requests:
                    await self._serve(request, group)
                ticks.cancel()
                for watch in self._watches.values():
                    if watch.task is not None:
                        watch.task.cancel()
        except* Exception as failed:  # noqa: BLE001 - the stream's own method raises it
            first = failed.exceptions[0]
            self.failure = first if isinstance(first, Exception) else failed
        await self.responses.put(None)

    async def _serve(self, request: rpc_pb2.WatchRequest, group: asyncio.TaskGroup) -> None:
        kind = request.WhichOneof("request_union")
        if kind == "create_request":
            await self._create(request.create_request, group)
        elif kind == "cancel_request":
            await self._cancel(request.cancel_request.watch_id)
        elif kind == "progress_request":
            await self._ask_progress()

    async def _create(self, request: rpc_pb2.WatchCreateRequest, group: asyncio.TaskGroup) -> None:
        span = of_request(request.key or b"\0", request.range_end)
        if span.end is not None and span.end <= span.first:
            await self._refuse("mvcc: watcher range is empty")
            return
        if request.watch_id and request.watch_id in self._watches:
            await self._refuse("mvcc: duplicate watch ID provided on the WatchStream")
            return
        watch_id = request.watch_id or self._free_id()
        newest = self._keyspace.revisions.revision
        after = request.start_revision - 1 if request.start_revision > 0 else newest
        watch = _Watch(watch_id, request, Watcher(span), after)
        self._watches[watch_id] = watch
        await self.responses.put(
            rpc_pb2.WatchResponse(
                header=header(self._keyspace, newest), watch_id=watch_id, created=True
            )
        )
        watch.task = group.create_task(self._follow(watch))

    def _free_id(self) -> int:
        while self._next_id in self._watches:
            self._next_id += 1
        self._next_id += 1
        return self._next_id - 1

    async def _refuse(self, reason: str) -> None:
        await self.responses.put(
            rpc_pb2.WatchResponse(
                header=self._header(),
                watch_id=NO_WATCH,
                created=True,
                canceled=True,
                cancel_reason=reason,
            )
        )

    async def _cancel(self, watch_id: int) -> None:
        watch = self._watches.pop(watch_id, None)
        if watch is None:
            return
        if watch.task is not None:
            watch.task.cancel()
        await self.responses.put(
            rpc_pb2.WatchResponse(header=self._header(), watch_id=watch_id, canceled=True)
        )
        await self._answer_progress()

    async def _follow(self, watch: _Watch) -> None:
        try:
            async for batch in self._keyspace.follow(watch.watcher, watch.after):
                if batch:
                    await self._send(watch, batch)
                else:
                    await self._send_progress(watch)
        except Compacted as error:
            self._watches.pop(watch.id, None)
            response = rpc_pb2.WatchResponse(
                header=self._header(),
                watch_id=watch.id,
                canceled=True,
                compact_revision=error.oldest,
            )
            await self.responses.put(response)
            await self._answer_progress()
        except Unavailable as error:
            raise errors.unavailable(str(error)) from error

    async def _send(self, watch: _Watch, batch: Sequence[Change]) -> None:
        filters = watch.request.filters
        events = [
            codec.encode_event(change, prev_kv=watch.request.prev_kv)
            for change in batch
            if _kind(change) not in filters
        ]
        if not events:
            return
        watch.quiet = False
        at = header(self._keyspace, batch[-1].revision)
        parts: Sequence[Sequence[kv_pb2.Event]] = [events]
        if watch.request.fragment:
            parts = codec.split(events, errors.REQUEST_BYTES_MAX)
        for number, part in enumerate(parts, 1):
            response = rpc_pb2.WatchResponse(
                header=at, watch_id=watch.id, events=part, fragment=number < len(parts)
            )
            await self.responses.put(response)

    async def _tick(self) -> None:
        """Every so often tell watches that asked for it, and had nothing else, how far they are."""
        while True:
            await asyncio.sleep(self._progress_seconds)
            for watch in self._watches.values():
                if watch.request.progress_notify and watch.quiet:
                    watch.asked = True
                    watch.watcher.mark()
                watch.quiet = True

    async def _ask_progress(self) -> None:
        """Once every watch of the stream has sent all there is, say so to all of them."""
        self._progress = {}
        for watch in self._watches.values():
            watch.watcher.mark()
        await self._answer_progress()

    async def _send_progress(self, watch: _Watch) -> None:
        at = self._header()
        if watch.asked:
            watch.asked = False
            await self.responses.put(rpc_pb2.WatchResponse(header=at, watch_id=watch.id))
        if self._progress is not None:
            self._progress[watch.id] = at.revision
            await self._answer_progress()

    async def _answer_progress(self) -> None:
        if self._progress is None or not self._watches.keys() <= self._progress.keys():
            return
        newest = self._keyspace.revisions.revision
        reached = min((self._progress[each] for each in self._watches), default=newest)
        self._progress = None
        await self.responses.put(
            rpc_pb2.WatchResponse(header=header(self._keyspace, reached), watch_id=NO_WATCH)
        )

    def _header(self) -> rpc_pb2.ResponseHeader:
        return header(self._keyspace, self._keyspace.revisions.revision)


def _kind(change: Change) -> "rpc_pb2.WatchCreateRequest.FilterType.ValueType":
    """The filter that leaves this change out."""
    if change.entry is None:
        return rpc_pb2.WatchCreateRequest.NODELETE
    return rpc_pb2.WatchCreateRequest.NOPUT
