"""What the store needs of the outside: a journal that keeps what it was told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pilothouse.services.machinery.storage import Change, Entry
from pilothouse.services.store.spans import Span


@dataclass(frozen=True, slots=True)
class StoredLease:
    """A lease as written down; ``expires_at`` in seconds of wall time."""

    id: int
    ttl_seconds: int
    expires_at: float


@dataclass(frozen=True, slots=True)
class Restored:
    """All that a store knew when it was last durable."""

    entries: Sequence[Entry]
    leases: Sequence[StoredLease]
    revision: int
    compacted: int
    cluster_id: int


@dataclass(frozen=True, slots=True)
class Size:
    """Bytes of the database's file, and those of them that hold something."""

    allocated_bytes: int
    used_bytes: int


class Journal(Protocol):
    """Every change, in order, and the leases. Any failure is an exception; nothing is half done."""

    async def restore(self) -> Restored: ...

    async def append(
        self, changes: Sequence[Change], leases: Mapping[int, StoredLease | None]
    ) -> None:
        """Write all of it or nothing; durable when it returns. A lease that is None is gone."""

    async def changes(
        self, span: Span, after: int, until: int, limit: int
    ) -> tuple[Sequence[Change], int]:
        """Changes with ``after`` < revision <= ``until`` and how far they reach.

        Whole revisions only, about ``limit`` changes; the second value is ``until`` when that was
        all. ``previous`` is None where it has been compacted away.
        """
        ...

    async def undone(self, span: Span, revision: int) -> Sequence[Entry]:
        """The keys that changed after ``revision`` as they were then, where they were."""
        ...

    async def compact(self, revision: int) -> bool:
        """Remove a bounded part of the history before ``revision``; False when none is left.

        The first call for a revision only writes down that what is before it counts as gone.
        """
        ...

    async def size(self) -> Size: ...

    async def close(self) -> None: ...
