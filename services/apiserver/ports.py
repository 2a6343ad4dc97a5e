"""What the API server needs of the outside: a store; and what the registry needs of its chain."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, Protocol

from pilothouse.services.apiserver.requests import Target, User
from pilothouse.services.machinery.storage import Change, Entry, Progress


class Storage(Protocol):
    """A consistent, revisioned key-value store: ours in-process, or any etcd v3 endpoint.

    Writes return after they are durable. All methods may raise
    :class:`pilothouse.services.machinery.storage.Unavailable`.
    """

    async def load(self, prefix: bytes, revision: int = 0) -> tuple[Sequence[Entry], int]:
        """Every live entry under ``prefix``, and the revision at which that is true.

        ``revision`` 0 is the newest; for an older one Compacted may be raised.
        """

    async def put(self, key: bytes, value: bytes, *, expect: int, ttl_seconds: int = 0) -> int:
        """Write if ``mod_revision`` is ``expect`` (0: absent), else raise Changed; its revision.

        With ``ttl_seconds`` the key goes by itself, not before then and soon after.
        """

    async def delete(self, key: bytes, *, expect: int) -> int:
        """Delete if ``mod_revision`` is ``expect``, else raise Changed; the deletion's revision."""

    def watch(self, prefix: bytes, after: int) -> AsyncIterator[Sequence[Change] | Progress]:
        """Every change after revision ``after`` in order; a batch never splits a revision.

        Raises Compacted where history does not reach back so far.
        """

    async def progress(self) -> None:
        """Have the watch say soon, by a Progress, how far it is."""

    def newest(self) -> int | None:
        """The newest revision where that is known without asking; else None."""

    async def revision(self) -> int:
        """The newest revision, linearizable; also how health is asked."""


class Store(Storage, Protocol):
    """Storage whose history can be cut, as it is opened once for the whole server."""

    async def compact(self, revision: int) -> None:
        """Forget history before ``revision``."""

    async def size(self) -> int:
        """The bytes that the store takes on its disk."""


class Authorizer(Protocol):
    """Who may do what."""

    async def allow(self, user: User, verb: str, target: Target) -> None:
        """Return when ``user`` may, else raise Forbidden.

        ``verb`` is get, list, watch, create, update, patch, delete or deletecollection; of roles
        also bind and escalate, of signers approve and sign.
        """

    def held(self, user: User, namespace: str) -> Iterable[Mapping[str, Any]]:
        """Every ``PolicyRule`` that holds for ``user`` there, cluster-wide ones among them."""


class TokenIssuer(Protocol):
    """Signs tokens of service accounts."""

    async def issue(self, account: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
        """The TokenRequest with its ``status`` for the ServiceAccount object ``account``."""


class Computed(Protocol):
    """A kind whose objects are not stored: reviews (create), component statuses (get, list)."""

    async def create(self, user: User, target: Target, body: dict[str, Any]) -> dict[str, Any]:
        """The answered review; ``body`` has been checked against its schema."""

    async def list(self, user: User, target: Target) -> Sequence[dict[str, Any]]:
        """All objects as they are now."""
