"""The store inside the process of who uses it: the shape of ``apiserver.ports.Storage``."""

import secrets
from collections.abc import AsyncIterator, Sequence
from typing import NoReturn

from pilothouse.services.machinery.storage import (
    Change,
    Changed,
    Compacted,
    Entry,
    Progress,
    Unavailable,
)
from pilothouse.services.runtime.clock import Clock, SystemClock
from pilothouse.services.store.adapters.sqlite import SqliteJournal
from pilothouse.services.store.compaction import INTERVAL_SECONDS
from pilothouse.services.store.hub import Watcher
from pilothouse.services.store.keyspace import Keyspace
from pilothouse.services.store.leases import Bucket, bucket_of
from pilothouse.services.store.spans import of_prefix


class EmbeddedStore:
    """A :class:`Keyspace` as Storage. Keys with the same ``ttl_seconds`` share leases."""

    def __init__(self, keyspace: Keyspace, clock: Clock) -> None:
        self.keyspace = keyspace
        self._clock = clock
        self._buckets: dict[int, Bucket] = {}
        self._watchers: set[Watcher] = set()

    async def load(self, prefix: bytes, revision: int = 0) -> tuple[Sequence[Entry], int]:
        """Every live entry under ``prefix``, by key, and the revision at which that is true.

        ``revision`` 0 is the newest; Compacted when one is too old.
        """
        revisions = self.keyspace.revisions
        if 0 < revision < revisions.revision:
            if revision < revisions.compacted:
                raise Compacted(revisions.compacted)
            return await self.keyspace.at(of_prefix(prefix), revision), revision
        return revisions.durable_range(of_prefix(prefix)), revisions.revision

    async def put(self, key: bytes, value: bytes, *, expect: int, ttl_seconds: int = 0) -> int:
        """Write if ``mod_revision`` is ``expect`` (0: absent), else raise Changed; its revision."""
        current = self.keyspace.revisions.newest(key)
        if (0 if current is None else current.mod_revision) != expect:
            await self._refuse(key)
        lease = self._lease(ttl_seconds) if ttl_seconds else 0
        return await self.keyspace.put(key, value, lease)

    async def delete(self, key: bytes, *, expect: int) -> int:
        """Delete if ``mod_revision`` is ``expect``, else raise Changed; the deletion's revision."""
        current = self.keyspace.revisions.newest(key)
        if current is None or current.mod_revision != expect:
            await self._refuse(key)
        return await self.keyspace.delete(current)

    async def watch(self, prefix: bytes, after: int) -> AsyncIterator[Sequence[Change] | Progress]:
        """Every change after revision ``after``, a batch a commit; see ``hub`` for bounds.

        A consumer that falls behind is served from the disk, and cut off with Compacted once the
        history it needs is gone. Unavailable when the store closes.
        """
        watcher = Watcher(of_prefix(prefix))
        self._watchers.add(watcher)
        try:
            async for batch in self.keyspace.follow(watcher, after):
                # An empty batch answers a mark: all that is durable has been handed out.
                yield batch or Progress(self.keyspace.revisions.revision)
        finally:
            self._watchers.discard(watcher)

    async def progress(self) -> None:
        """Have the watches say how far they are."""
        for watcher in self._watchers:
            watcher.mark()

    def newest(self) -> int | None:
        """The newest durable revision."""
        return self.keyspace.revisions.revision

    async def revision(self) -> int:
        """The newest revision; Unavailable when the store takes no writes."""
        await self.keyspace.settled()
        return self.keyspace.revisions.revision

    async def compact(self, revision: int) -> None:
        """Forget history before ``revision``; nothing to do where that is already so."""
        revisions = self.keyspace.revisions
        if revision > revisions.revision:
            raise ValueError(f"revision {revision} is in the future")
        if revision > revisions.compacted:
            await self.keyspace.compact(revision)

    async def size(self) -> int:
        """The bytes that the database takes on its disk."""
        return (await self.keyspace.size()).allocated_bytes

    async def close(self) -> None:
        """Drain and let go."""
        await self.keyspace.close()

    async def _refuse(self, key: bytes) -> NoReturn:
        # What a refusal shows must be durable too: wait for what it was judged by.
        if self.keyspace.revisions.in_flight(key):
            await self.keyspace.settled()
        raise Changed(key, self.keyspace.revisions.durable(key))

    def _lease(self, ttl_seconds: int) -> int:
        now = self._clock.monotonic()
        bucket = self._buckets.get(ttl_seconds)
        if bucket is None or not bucket.fits(ttl_seconds, now):
            lifetime = bucket_of(ttl_seconds)
            lease = self.keyspace.lessor.grant_ahead(secrets.randbits(62) | 1, lifetime)
            bucket = self._buckets[ttl_seconds] = Bucket(lease.id, lease.deadline)
        return bucket.take()


async def open_store(
    path: str,
    *,
    clock: Clock | None = None,
    compact_every_seconds: float = INTERVAL_SECONDS,
) -> EmbeddedStore:
    """Open or create the store whose database file is ``path``, or one in ``:memory:``.

    History is compacted every ``compact_every_seconds`` (0: never by itself) to what was the newest
    revision one such interval before. ``close`` it in the end. Raises Unavailable when the file
    can not be opened.
    """
    clock = clock or SystemClock()
    try:
        journal = await SqliteJournal.open(path)
    except Exception as error:
        raise Unavailable(f"{path}: {error}") from error
    try:
        keyspace = await Keyspace.open(journal, clock, compact_every_seconds=compact_every_seconds)
    except BaseException:
        await journal.close()
        raise
    return EmbeddedStore(keyspace, clock)
