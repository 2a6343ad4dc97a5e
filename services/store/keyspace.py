"""The store as a whole: keys, leases, history and watchers behind one object.

Reads answer from memory what is durable; writes are judged at the tip, staged, and awaited until
the writer has them on the disk. What is decided lives in ``revisions``, ``txn``, ``leases`` and
``compaction``; this file only connects it to the journal and the clock.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack

from pilothouse.services.machinery.storage import Change, Compacted, Entry
from pilothouse.services.runtime.clock import Clock
from pilothouse.services.store.compaction import Periodic
from pilothouse.services.store.hub import Hub
from pilothouse.services.store.leases import Lease, Leases
from pilothouse.services.store.ports import Journal, Restored, Size, StoredLease
from pilothouse.services.store.revisions import Revisions
from pilothouse.services.store.spans import Span
from pilothouse.services.store.writer import Writer


class Keyspace:
    """One open store. ``revisions`` and ``leases`` are for reading; change them through here."""

    def __init__(self, journal: Journal, restored: Restored, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self.cluster_id = restored.cluster_id
        self.revisions = Revisions(
            restored.entries, revision=restored.revision, compacted=restored.compacted
        )
        now, wall = clock.monotonic(), clock.now()
        self.leases = Leases(
            Lease(
                lease.id,
                lease.ttl_seconds,
                now + min(max(lease.expires_at - wall, 0.0), float(lease.ttl_seconds)),
            )
            for lease in restored.leases
        )
        for entry in restored.entries:
            if entry.lease:
                self.leases.attach(entry.key, entry.lease)
        self._hub = Hub(journal, self.revisions)
        self._writer = Writer(journal, self.revisions, self._hub.publish)
        self._lease_set = asyncio.Event()
        self._sweeping = asyncio.Lock()
        self._stack = AsyncExitStack()
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
        self._loops.append(group.create_task(self._expire(), name="store-leases"))
        if compact_every_seconds:
            loop = self._compact_periodically(compact_every_seconds)
            self._loops.append(group.create_task(loop, name="store-compaction"))

    async def put(self, key: bytes, value: bytes, lease: int) -> int:
        """Write a key as a transaction of its own; its revision, once durable."""
        self._writer.check()
        revisions = self.revisions
        change = revisions.put(key, value, lease, revisions.tip + 1)
        if lease or (change.previous is not None and change.previous.lease):
            self.leases.follow(change)
        await self._writer.append(change)
        return change.revision

    async def delete(self, entry: Entry) -> int:
        """Delete an entry that is at the tip, as a transaction of its own."""
        self._writer.check()
        change = self.revisions.delete(entry, self.revisions.tip + 1)
        if entry.lease:
            self.leases.follow(change)
        await self._writer.append(change)
        return change.revision

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
        """See :meth:`Hub.stream`."""
        return self._hub.stream(span, after)

    async def grant(self, lease_id: int, ttl_seconds: int) -> Lease:
        """A new lease under a free id, once durable."""
        lease = self.grant_ahead(lease_id, ttl_seconds)
        await self.settled()
        return lease

    def grant_ahead(self, lease_id: int, ttl_seconds: int) -> Lease:
        """A new lease, durable before whatever is written after it."""
        self._writer.check()
        lease = self.leases.grant(lease_id, ttl_seconds, self._clock.monotonic())
        self._lease_set.set()
        self._writer.note(self._stored(lease))
        return lease

    async def renew(self, lease: Lease) -> Lease:
        """The lease lives its whole time again, and a restart knows it."""
        self._writer.check()
        renewed = self.leases.renew(lease, self._clock.monotonic())
        self._lease_set.set()
        await self._writer.append_all((), [self._stored(renewed)])
        return renewed

    async def revoke(self, lease: Lease) -> int:
        """Delete the lease and its keys, in one revision."""
        self._writer.check()
        revision = self.revisions.tip + 1
        entries = [self.revisions.newest(key) for key in self.leases.revoke(lease)]
        changes = [self.revisions.delete(entry, revision) for entry in entries if entry is not None]
        await self._writer.append_all(changes, [lease.id])
        return self.revisions.revision

    async def compact(self, revision: int) -> None:
        """Forget history before a durable revision, and free its space."""
        await self._journal.compact(revision)
        self.revisions.compacted = max(revision, self.revisions.compacted)
        async with self._sweeping:
            while await self._journal.sweep():
                pass
            await self._journal.trim()

    async def size(self) -> Size:
        """Bytes on the disk."""
        return await self._journal.size()

    async def close(self) -> None:
        """Write what was taken, end the streams, let go of the disk."""
        self._hub.end()
        self._writer.drain()
        for loop in self._loops:
            loop.cancel()
        await self._stack.aclose()
        await self._journal.close()

    def _stored(self, lease: Lease) -> StoredLease:
        left = lease.deadline - self._clock.monotonic()
        return StoredLease(lease.id, lease.ttl_seconds, self._clock.now() + left)

    async def _expire(self) -> None:
        while True:
            for lease in self.leases.due(self._clock.monotonic()):
                await self.revoke(lease)
            self._lease_set.clear()
            deadline = self.leases.next_deadline()
            if deadline is None:
                await self._lease_set.wait()
                continue
            left = max(0.0, deadline - self._clock.monotonic())
            try:
                async with asyncio.timeout(left):
                    await self._lease_set.wait()
            except TimeoutError:
                continue

    async def _compact_periodically(self, every_seconds: float) -> None:
        schedule = Periodic()
        while True:
            await self._clock.sleep(every_seconds)
            schedule, target = schedule.tick(self.revisions.revision)
            if target > self.revisions.compacted:
                await self.compact(target)
