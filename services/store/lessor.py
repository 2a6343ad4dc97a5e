"""Leases at work: grants, renewals and expiry, written down with everything else."""

import asyncio
from collections.abc import Iterable

from pilothouse.services.machinery.storage import Change
from pilothouse.services.runtime.clock import Clock
from pilothouse.services.store.leases import Lease, Leases
from pilothouse.services.store.ports import Restored, StoredLease
from pilothouse.services.store.revisions import Revisions
from pilothouse.services.store.writer import Writer


class Lessor:
    """The leases of one open store. Deadlines are monotonic here and wall time on the disk."""

    def __init__(
        self, restored: Restored, revisions: Revisions, writer: Writer, clock: Clock
    ) -> None:
        self._revisions = revisions
        self._writer = writer
        self._clock = clock
        self._set = asyncio.Event()
        now, wall = clock.monotonic(), clock.now()
        self.leases = Leases(
            Lease(stored.id, stored.ttl_seconds, now + _left(stored, wall))
            for stored in restored.leases
        )
        for entry in restored.entries:
            if entry.lease:
                self.leases.attach(entry.key, entry.lease)

    def now(self) -> float:
        """The time that deadlines are on."""
        return self._clock.monotonic()

    def follow(self, changes: Iterable[Change]) -> None:
        """Keep what is attached to leases true after staged changes."""
        for change in changes:
            self.leases.follow(change)

    def grant_ahead(self, lease_id: int, ttl_seconds: int) -> Lease:
        """A new lease under a free id, durable before whatever is written after it."""
        self._writer.check()
        lease = self.leases.grant(lease_id, ttl_seconds, self.now())
        self._set.set()
        self._writer.note(self._stored(lease))
        return lease

    async def grant(self, lease_id: int, ttl_seconds: int) -> Lease:
        """A new lease under a free id, once durable."""
        lease = self.grant_ahead(lease_id, ttl_seconds)
        await self._writer.settled()
        return lease

    async def renew(self, lease: Lease) -> Lease:
        """The lease lives its whole time again; a restart knows it."""
        self._writer.check()
        renewed = self.leases.renew(lease, self.now())
        self._set.set()
        await self._writer.append_all((), [self._stored(renewed)])
        return renewed

    async def revoke(self, lease: Lease) -> int:
        """Delete the lease and its keys in one revision; the revision after that."""
        self._writer.check()
        revision = self._revisions.tip + 1
        entries = [self._revisions.newest(key) for key in self.leases.revoke(lease)]
        changes = [
            self._revisions.delete(entry, revision) for entry in entries if entry is not None
        ]
        tip = self._revisions.tip
        await self._writer.append_all(changes, [lease.id])
        return tip

    async def run(self) -> None:
        """Revoke leases as their time comes, until cancelled or the store takes no writes."""
        while True:
            for lease in self.leases.due(self.now()):
                await self.revoke(lease)
            self._set.clear()
            deadline = self.leases.next_deadline()
            left = None if deadline is None else max(0.0, deadline - self.now())
            try:
                async with asyncio.timeout(left):
                    await self._set.wait()
            except TimeoutError:
                continue

    def _stored(self, lease: Lease) -> StoredLease:
        return StoredLease(
            lease.id, lease.ttl_seconds, self._clock.now() + lease.deadline - self.now()
        )


def _left(stored: StoredLease, wall: float) -> float:
    """Seconds a stored lease still has; never more than a whole life if the clock was set back."""
    return min(max(stored.expires_at - wall, 0.0), float(stored.ttl_seconds))
