"""The one request path: authorize, decode, default, admit, validate, store; then cache, watchers.

    rest/ ─┐             ┌─▶ Reads                  ─▶ cache
           ├─▶ Registry ─┼─▶ Writes, Updates, Acts  ─▶ storage ─▶ cache ─▶ watchers
    rpc/  ─┘             └─▶ Removals               ─▶ storage ─▶ cache ─▶ watchers

Raises only :mod:`pilothouse.services.machinery.errors`. The parts are in
:mod:`pilothouse.services.apiserver.objects`.
"""

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from pilothouse.services.apiserver.cache.selection import parse_fields
from pilothouse.services.apiserver.crds.establishing import Establishing
from pilothouse.services.apiserver.crds.publishing import Definitions
from pilothouse.services.apiserver.kinds.kind import Kind
from pilothouse.services.apiserver.objects import refusals, scale
from pilothouse.services.apiserver.objects.acts import Acts, refuse_connect
from pilothouse.services.apiserver.objects.collection import delete_all
from pilothouse.services.apiserver.objects.commits import Commits
from pilothouse.services.apiserver.objects.decoding import decode
from pilothouse.services.apiserver.objects.parts import Parts
from pilothouse.services.apiserver.objects.reads import Reads
from pilothouse.services.apiserver.objects.removals import Removals
from pilothouse.services.apiserver.objects.served import Kinds
from pilothouse.services.apiserver.objects.updates import Updates
from pilothouse.services.apiserver.objects.writes import Writes
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
from pilothouse.services.machinery.errors import ApiError, NotFound
from pilothouse.services.machinery.objects import Key

_SHOWN = frozenset({"status", "approval", "ephemeralcontainers", "resize"})


class Registry:
    """Every request, whichever door it came through, is one of these eight calls.

    Its :class:`Parts` carry the cache, whose ``load`` has run before the first request and whose
    ``run`` goes on beside, as does that of :attr:`establishing`.
    """

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self._kinds = Kinds(parts)
        commits = Commits(parts.storage, parts.cache, parts.claims)
        self._reads = Reads(self._kinds, parts.cache)
        self._writes = Writes(parts, self._kinds, commits)
        self._updates = Updates(parts, self._kinds, self._writes)
        self._removals = Removals(self._kinds, commits, parts.clock)
        self._acts = Acts(parts, self._kinds, self._writes, self._removals)
        services = parts.catalog.lookup("", "v1", "services")
        parts.cache.of(services).subscribe(parts.allocator.observe)
        ranges = parts.catalog.lookup("networking.k8s.io", "v1", "servicecidrs")
        parts.cache.of(ranges).subscribe(parts.allocator.observe_range)
        definitions = Definitions(parts.catalog, parts.cache, parts.schemas, parts.walkers)
        self.establishing = Establishing(
            definitions, parts.catalog, parts.cache, commits, self._removals, parts.clock
        )

    async def get(self, user: User, target: Target, resource_version: str = "") -> Stored:
        """The object, or what its subresource shows (``status``, ``scale``)."""
        kind = self._kinds.kind(target, "get")
        await self.parts.authorizer.allow(user, "get", target)
        if not kind.persistent:
            return await self._computed_one(user, kind, target)
        if target.subresource == "scale":
            try:
                found = await self._reads.get(kind, target, resource_version)
            except NotFound as error:
                raise scale.not_found(kind, target.name, error) from None
            return scale.show(kind, found)
        if target.subresource and target.subresource not in _SHOWN:
            raise refuse_connect(kind, target.subresource)
        return await self._reads.get(kind, target, resource_version)

    async def list(self, user: User, target: Target, options: ReadOptions) -> Listing:
        """A page of the collection; sorted by namespace and name."""
        kind = self._kinds.kind(target, "list")
        await self.parts.authorizer.allow(user, "list", _named(target, options))
        if not kind.persistent:
            items = await self._computed(user, kind, target)
            return Listing(items, self.parts.cache.applied)
        return await self._reads.list(kind, target, options)

    async def watch(
        self, user: User, target: Target, options: ReadOptions
    ) -> AsyncIterator[Sequence[WatchEvent]]:
        """Batches of changes that became visible together.

        The first batch comes at once and may be empty: the watch stands. Refusals are raised when
        it is asked for. A reader that falls behind is cut off with TooManyRequests; one whose
        changes are forgotten gets Expired.
        """
        kind = self._kinds.kind(target, "watch")
        await self.parts.authorizer.allow(user, "watch", _named(target, options))
        async with contextlib.aclosing(self._reads.watch(kind, target, options)) as batches:
            async for batch in batches:
                yield batch

    async def create(
        self, user: User, target: Target, body: dict[str, Any], options: WriteOptions
    ) -> Written:
        """Create ``body``, which is consumed; with a subresource, ``target.name`` is the parent."""
        kind = self._kinds.kind(target, "create")
        await self.parts.authorizer.allow(user, "create", target)
        await self.parts.cache.wait_fresh()
        if target.subresource or not kind.persistent:
            return await self._acts.create(user, kind, target, body, options)
        return await self._writes.create(user, kind, target, body, options)

    async def update(
        self, user: User, target: Target, body: dict[str, Any], options: WriteOptions
    ) -> Written:
        """Replace; ``metadata.resourceVersion`` in ``body`` makes it conditional."""
        kind = self._kinds.kind(target, "update")
        await self.parts.authorizer.allow(user, "update", target)
        await self.parts.cache.wait_fresh()
        return await self._updates.update(user, kind, target, body, options)

    async def patch(
        self, user: User, target: Target, patch: Patch, options: WriteOptions
    ) -> Written:
        """Change what is there; retried when somebody else was faster."""
        kind = self._kinds.kind(target, "patch")
        await self.parts.authorizer.allow(user, "patch", target)
        await self.parts.cache.wait_fresh()
        return await self._updates.patch(user, kind, target, patch, options)

    async def delete(self, user: User, target: Target, options: DeleteOptions) -> Stored:
        """The object as it was deleted (``deleted``) or marked for deletion."""
        kind = self._kinds.kind(target, "delete")
        await self.parts.authorizer.allow(user, "delete", target)
        await self.parts.cache.wait_fresh()
        if target.subresource:
            raise refusals.not_allowed(kind, "delete", target.subresource)
        return await self._removals.delete(user, kind, target, options)

    async def delete_collection(
        self, user: User, target: Target, reading: ReadOptions, options: DeleteOptions
    ) -> Listing:
        """Delete each object that ``reading`` selects; what was deleted or marked."""
        kind = self._kinds.kind(target, "deletecollection")
        await self.parts.authorizer.allow(user, "deletecollection", _named(target, reading))
        await self.parts.cache.wait_fresh()
        listing = await self._reads.list(kind, target, reading)

        async def delete(item: Stored) -> Stored:
            one = replace(target, namespace=item.key.namespace, name=item.key.name)
            return await self._removals.delete(user, kind, one, options)

        return replace(listing, items=await delete_all(listing.items, delete))

    def unknown(self, kind: Kind, body: Any) -> tuple[str, ...]:
        """What there is to say of fields in ``body`` that ``kind`` does not have."""
        try:
            return decode(self.parts.walkers, kind, body, "Warn")
        except ApiError:
            return ()

    async def _computed(self, user: User, kind: Kind, target: Target) -> Sequence[Stored]:
        computed = self.parts.computed.get(kind.plural)
        if computed is None:
            raise refusals.not_allowed(kind, "list")
        return [
            Stored(Key("", document["metadata"]["name"]), 0, msgspec.json.encode(document))
            for document in await computed.list(user, target)
        ]

    async def _computed_one(self, user: User, kind: Kind, target: Target) -> Stored:
        for stored in await self._computed(user, kind, target):
            if stored.key.name == target.name:
                return stored
        raise refusals.not_found(kind, target.name)


def _named(target: Target, options: ReadOptions) -> Target:
    """For authorizers: to select one name is to name it, as in the real server."""
    if target.name or "metadata.name" not in options.field_selector:
        return target
    for wanted in parse_fields(options.field_selector):
        if wanted.path == "metadata.name" and wanted.equal:
            return replace(target, name=wanted.value)
    return target
