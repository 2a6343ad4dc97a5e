"""The store as a whole: keys, leases, history and watchers behind one object.

Reads answer from memory what is durable; writes are judged at the tip, staged, and awaited until
the writer has them on the disk. What is decided lives in ``revisions``, ``txn``, ``leases`` and
``compaction``; this file only connects it to the journal and the clock.
"""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from pilothouse.services.machinery.errors import ApiError
from pilothouse.services.machinery.storage import Change, Compacted, Entry, Unavailable
from pilothouse.services.runtime import telemetry
from pilothouse.services.runtime.clock import Clock
from pilothouse.services.store import errors
from pilothouse.services.store.compaction import Periodic
from pilothouse.services.store.hub import Hub, Watcher
from pilothouse.services.store.lessor import Lessor
from pilothouse.services.store.ports import Journal, Restored, Size
from pilothouse.services.store.requests import Range, Txn, plain
from pilothouse.services.store.revisions import Revisions
from pilothouse.services.store.spans import Span
from pilothouse.services.store.txn import (
    Past,
    RangeAnswer,
    TxnAnswer,
    check_revision,
    evaluate,
    fetch_limit,
    select,
)
from pilothouse.services.store.writer import Writer


class Keyspace:
    """One open store. ``revisions`` is for reading; it changes through here and ``lessor``."""

    def __init__(self, journal: Journal, restored: Restored, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self.cluster_id = restored.cluster_id
        self.revisions = Revisions(
            restored.entries, revision=restored.revision, compacted=restored.compacted
        )
        self._hub = Hub(journal, self.revisions)
        self._writer = Writer(journal, self.revisions, self._hub.publish)
        self.lessor = Lessor(restored, self.revisions, self._writer, clock)
        self._compacting = asyncio.Lock()
        self._stack = contextlib.AsyncExitStack()
        self._loops: list[asyncio.Task[None]] = []

    @classmethod
    async def open(
        cls, journal: Journal, clock: Clock, *, compact_every_seconds: float = 0
    ) -> "Keyspace":
        """Restore what the journal knows and begin to serve; ``close`` ends it."""
        keyspace = cls(journal, await journal.restore(), clock)
        await keyspace._start(compact_every_seconds)
        return keyspace

    async def _start(self, compact_every_seconds: float) -> None:
        group = await self._stack.enter_async_context(asyncio.TaskGroup())
        group.create_task(self._writer.run(), name="store-writer")
        loops: list[Callable[[], Awaitable[None]]] = [
            self.lessor.run,
            functools.partial(self._compact_periodically, compact_every_seconds),
        ]
        self._loops += [group.create_task(_while_writable(loop)) for loop in loops]

    async def put(self, key: bytes, value: bytes, lease: int) -> int:
        """Write a key as a transaction of its own; its revision, once durable."""
        self._writer.check()
        revisions = self.revisions
        change = revisions.put(key, value, lease, revisions.tip + 1)
        if lease or (change.previous is not None and change.previous.lease):
            self.lessor.leases.follow(change)
        await self._writer.append(change)
        return change.revision

    async def delete(self, entry: Entry) -> int:
        """Delete an entry that is at the tip, as a transaction of its own."""
        self._writer.check()
        change = self.revisions.delete(entry, self.revisions.tip + 1)
        if entry.lease:
            self.lessor.leases.follow(change)
        await self._writer.append(change)
        return change.revision

    async def range(self, request: Range) -> tuple[RangeAnswer, int]:
        """Answer a checked range from what is durable, and the newest revision."""
        revisions, span = self.revisions, request.span()
        check_revision(request.revision, revisions.tip, revisions.compacted)
        if request.revision > revisions.revision:
            await self.settled()
        if 0 < request.revision < revisions.revision:
            try:
                entries = await self.at(span, request.revision)
            except Compacted:
                raise errors.compacted() from None
            count = len(entries)
        else:
            count = revisions.durable_count(span)
            limit = 0 if request.count_only else fetch_limit(request)
            entries = revisions.durable_range(span, limit)
        return select(request, entries, count), revisions.revision

    async def txn(self, request: Txn) -> tuple[TxnAnswer, int]:
        """Judge a checked transaction and do it; its answer and revision, once durable.

        A transaction that changes nothing has the revision it was judged at.
        """
        past = await self._past(request)
        self._writer.check()
        try:
            answer, changes = evaluate(request, self.revisions, self.lessor.leases, past)
        except ApiError:
            # What a refusal shows must be durable too.
            await self.settled()
            raise
        revision = self.revisions.tip
        if changes:
            self.lessor.follow(changes)
            await self._writer.append_all(changes)
        else:
            await self.settled()
        return answer, revision

    async def settled(self) -> None:
        """Return when all that was judged so far is durable; Unavailable after a failed write."""
        await self._writer.settled()

    async def at(self, span: Span, revision: int) -> list[Entry]:
        """The entries of ``span`` at a durable revision, by key; Compacted when it is too old."""
        kept = {
            entry.key: entry
            for entry in self.revisions.durable_range(span)
            if entry.mod_revision <= revision
        }
        if revision < self.revisions.revision:
            for entry in await self._journal.undone(span, revision):
                kept[entry.key] = entry
        if revision < self.revisions.compacted:
            raise Compacted(self.revisions.compacted)
        return [kept[key] for key in sorted(kept)]

    def watch(self, span: Span, after: int) -> AsyncIterator[Sequence[Change]]:
        """Changes in ``span`` after a revision; see :meth:`Hub.stream`."""
        return self._hub.stream(Watcher(span), after)

    def follow(self, watcher: Watcher, after: int) -> AsyncIterator[Sequence[Change]]:
        """The same for a watcher that the caller wants to mark."""
        return self._hub.stream(watcher, after)

    async def compact(self, revision: int) -> None:
        """Forget history before a durable revision, and free its space."""
        self._writer.check()
        async with self._compacting:
            more = True
            while more:
                more = await self._journal.compact(revision)
                self.revisions.compacted = max(revision, self.revisions.compacted)

    async def size(self) -> Size:
        """Bytes on the disk."""
        return await self._journal.size()

    async def close(self) -> None:
        """Write what was taken, end the streams, let go of the disk."""
        self._writer.drain()
        for loop in self._loops:
            loop.cancel()
        await self._stack.aclose()
        self._hub.end()
        async with self._compacting:
            await self._journal.close()

    async def _past(self, request: Txn) -> Past:
        """What the older revisions held that a transaction may read; those that are there."""
        past: dict[tuple[Span, int], Sequence[Entry]] = {}
        for operation in plain((request,)):
            if not isinstance(operation, Range) or operation.revision <= 0:
                continue
            if self.revisions.revision < operation.revision <= self.revisions.tip:
                await self.settled()
            if self.revisions.compacted <= operation.revision <= self.revisions.revision:
                span = operation.span()
                with contextlib.suppress(Compacted):
                    past[span, operation.revision] = await self.at(span, operation.revision)
        return past

    async def _compact_periodically(self, every_seconds: float) -> None:
        schedule = Periodic()
        while every_seconds:
            await self._clock.sleep(every_seconds)
            schedule, target = schedule.tick(self.revisions.revision)
            if target > self.revisions.compacted:
                try:
                    await self.compact(target)
                except Unavailable as error:
                    self._writer.check()
                    telemetry.logger().error("compaction failed", exc_info=error)


async def _while_writable(loop: Callable[[], Awaitable[None]]) -> None:
    """A loop of the store's own ends quietly with the writer, who has told why."""
    try:
        await loop()
    except Unavailable:
        telemetry.logger().warning("a loop of the store ends: it takes no writes")
