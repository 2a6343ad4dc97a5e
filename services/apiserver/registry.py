"""The one request path: authorize, decode, default, admit, validate, store; then cache, watchers.

    rest/ ─┐             ┌─▶ Reads    ─▶ cache
           ├─▶ Registry ─┼─▶ Writes   ─▶ strategies, admission ─▶ storage ─▶ cache
    rpc/  ─┘             └─▶ Removals ─▶ storage ─▶ cache

Raises only :mod:`pilothouse.services.machinery.errors`.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from pilothouse.services.apiserver.requests import (
    DeleteOptions,
    Listing,
    Patch,
    ReadOptions,
    Stored,
    Target,
    User,
    WatchEvent,
    WriteOptions,
    Written,
)


class Registry:
    """Every request, whichever door it came through, is one of these eight calls."""

    async def get(self, user: User, target: Target) -> Stored:
        """The object, or what its subresource shows (``status``, ``scale``)."""
        raise NotImplementedError

    async def list(self, user: User, target: Target, options: ReadOptions) -> Listing:
        """A page of the collection; sorted by namespace and name."""
        raise NotImplementedError

    def watch(
        self, user: User, target: Target, options: ReadOptions
    ) -> AsyncIterator[Sequence[WatchEvent]]:
        """Batches of changes that became visible together."""
        raise NotImplementedError

    async def create(
        self, user: User, target: Target, body: dict[str, Any], options: WriteOptions
    ) -> Written:
        """Create ``body``; with a subresource, ``target.name`` is the parent."""
        raise NotImplementedError

    async def update(
        self, user: User, target: Target, body: dict[str, Any], options: WriteOptions
    ) -> Written:
        """Replace; ``metadata.resourceVersion`` in ``body`` makes it conditional."""
        raise NotImplementedError

    async def patch(
        self, user: User, target: Target, patch: Patch, options: WriteOptions
    ) -> Written:
        """Change what is there; retried when somebody else was faster."""
        raise NotImplementedError

    async def delete(self, user: User, target: Target, options: DeleteOptions) -> Stored:
        """The object as it was deleted (``deleted``) or marked for deletion."""
        raise NotImplementedError

    async def delete_collection(
        self, user: User, target: Target, reading: ReadOptions, options: DeleteOptions
    ) -> Listing:
        """Delete each object that ``reading`` selects; what was deleted or marked."""
        raise NotImplementedError
