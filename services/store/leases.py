"""Leases: how long keys live that nobody renews. All times are seconds on one clock."""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, replace

from pilothouse.services.machinery.storage import Change

TTL_SECONDS_MAX = 9_000_000_000
SHARED_KEYS_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Lease:
    """A promise to keep keys for ``ttl_seconds`` after each renewal, until ``deadline``."""

    id: int
    ttl_seconds: int
    deadline: float

    def remaining_seconds(self, now: float) -> int:
        """Whole seconds until the deadline, 0 when it has passed."""
        return max(0, int(self.deadline - now))


class Leases:
    """Every lease and the keys attached to it, at the tip."""

    def __init__(self, leases: Iterable[Lease] = ()) -> None:
        self._leases: dict[int, Lease] = {}
        self._keys: dict[int, set[bytes]] = {}
        self._deadlines: list[tuple[float, int]] = []
        for lease in leases:
            self._set(lease)

    def get(self, lease_id: int) -> Lease | None:
        """The lease, unless there is none."""
        return self._leases.get(lease_id)

    def all(self) -> list[Lease]:
        """Every lease, by id."""
        return [self._leases[lease_id] for lease_id in sorted(self._leases)]

    def grant(self, lease_id: int, ttl_seconds: int, now: float) -> Lease:
        """A new lease; the caller has seen that the id is free."""
        return self._set(Lease(lease_id, ttl_seconds, now + ttl_seconds))

    def renew(self, lease: Lease, now: float) -> Lease:
        """The lease lives its whole time again."""
        return self._set(replace(lease, deadline=now + lease.ttl_seconds))

    def revoke(self, lease: Lease) -> list[bytes]:
        """Forget the lease; the keys that were attached, sorted, for the caller to delete."""
        del self._leases[lease.id]
        return sorted(self._keys.pop(lease.id))

    def keys(self, lease_id: int) -> list[bytes]:
        """The keys attached to a lease, sorted."""
        return sorted(self._keys.get(lease_id, ()))

    def count(self, lease_id: int) -> int:
        """How many keys are attached."""
        return len(self._keys.get(lease_id, ()))

    def attach(self, key: bytes, lease_id: int) -> None:
        """A live key was found to belong to a lease (when a store is opened)."""
        if lease_id in self._keys:
            self._keys[lease_id].add(key)

    def follow(self, change: Change) -> None:
        """Keep the attachments true after a change."""
        before = change.previous.lease if change.previous is not None else 0
        after = change.entry.lease if change.entry is not None else 0
        if before == after:
            return
        if before in self._keys:
            self._keys[before].discard(change.key)
        if after in self._keys:
            self._keys[after].add(change.key)

    def due(self, now: float) -> list[Lease]:
        """The leases whose time is over, earliest first."""
        over: list[Lease] = []
        while self._deadlines and self._deadlines[0][0] <= now:
            deadline, lease_id = heapq.heappop(self._deadlines)
            lease = self._leases.get(lease_id)
            if lease is not None and lease.deadline == deadline:
                over.append(lease)
        return over

    def next_deadline(self) -> float | None:
        """When to look again; at most one stale wake-up per renewal comes before a true one."""
        return self._deadlines[0][0] if self._deadlines else None

    def _set(self, lease: Lease) -> Lease:
        self._leases[lease.id] = lease
        self._keys.setdefault(lease.id, set())
        heapq.heappush(self._deadlines, (lease.deadline, lease.id))
        return lease


@dataclass(slots=True)
class Bucket:
    """A lease that keys of one time to live share, so that a put costs no lease of its own."""

    lease_id: int
    deadline: float
    keys: int = 0

    def fits(self, ttl_seconds: int, now: float) -> bool:
        """A key put now lives at least ``ttl_seconds`` under this lease."""
        return self.keys < SHARED_KEYS_MAX and now + ttl_seconds <= self.deadline

    def take(self) -> int:
        """Count one more key; the lease's id."""
        self.keys += 1
        return self.lease_id


def bucket_of(ttl_seconds: int) -> int:
    """The time to live of a shared lease, in seconds: a little more than that of its keys."""
    return ttl_seconds + min(max(ttl_seconds // 20, 1), 60)
