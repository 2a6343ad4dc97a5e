"""What the API server needs of the outside: a store."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from pilothouse.services.machinery.storage import Change, Entry


class Storage(Protocol):
    """A consistent, revisioned key-value store: ours in-process, or any etcd v3 endpoint.

    Writes return after they are durable. All methods may raise
    :class:`pilothouse.services.machinery.storage.Unavailable`.
    """

    async def load(self, prefix: bytes) -> tuple[Sequence[Entry], int]:
        """Every live entry under ``prefix`` and the revision at which that is true."""

    async def put(self, key: bytes, value: bytes, *, expect: int, ttl_seconds: int = 0) -> int:
        """Write if ``mod_revision`` is ``expect`` (0: absent), else raise Changed; its revision.

        With ``ttl_seconds`` the key goes by itself, not before then and soon after.
        """

    async def delete(self, key: bytes, *, expect: int) -> int:
        """Delete if ``mod_revision`` is ``expect``, else raise Changed; the deletion's revision."""

    def watch(self, prefix: bytes, after: int) -> AsyncIterator[Sequence[Change]]:
        """Every change after revision ``after`` in order; a batch never splits a revision.

        Raises Compacted where history does not reach back so far.
        """

    async def revision(self) -> int:
        """The newest revision, linearizable; also how health is asked."""

    async def compact(self, revision: int) -> None:
        """Forget history before ``revision``."""

    async def close(self) -> None:
        """Drain and let go."""
