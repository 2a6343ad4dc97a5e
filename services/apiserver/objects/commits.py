"""Writes to the store, and the wait until every reader sees them."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from pilothouse.services.apiserver.allocation.claims import Claims
from pilothouse.services.apiserver.cache.cache import Cache, storage_key
from pilothouse.services.apiserver.cache.items import Item
from pilothouse.services.apiserver.kinds.kind import Kind
from pilothouse.services.apiserver.ports import Storage
from pilothouse.services.apiserver.requests import Stored
from pilothouse.services.machinery.errors import (
    ApiError,
    RequestEntityTooLarge,
    ServiceUnavailable,
    Timeout,
)
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.storage import Changed, Unavailable, Undecided

OBJECT_BYTES_MAX = 1_572_864
SEEN_SECONDS_MAX = 3.0

_encoder = msgspec.json.Encoder()


@dataclass(frozen=True)
class Commits:
    """Every method returns when the cache has applied what it did; Changed means a lost race."""

    storage: Storage
    cache: Cache
    claims: Claims

    async def create(
        self, kind: Kind, key: Key, document: Mapping[str, Any], *, ttl_seconds: int, dry_run: bool
    ) -> Stored:
        """Write a new object."""
        value = fitting(document)
        if dry_run:
            return Stored(key, 0, value)
        return await self._put(kind, key, value, expect=0, ttl_seconds=ttl_seconds)

    async def update(
        self,
        kind: Kind,
        item: Item,
        document: Mapping[str, Any],
        *,
        ttl_seconds: int = 0,
        dry_run: bool = False,
    ) -> Stored:
        """Write over ``item``; nothing is when nothing changed, nor the form that it is kept in."""
        value = fitting(document)
        stored = item.stored
        encoding = self.cache.of(kind).encoding
        json = encoding.with_revision(value, stored.revision)
        if dry_run or (json == stored.json and not item.stale):
            return Stored(stored.key, stored.revision, json)
        return await self._put(
            kind, stored.key, value, expect=stored.revision, ttl_seconds=ttl_seconds
        )

    async def delete(self, kind: Kind, item: Item, *, dry_run: bool = False) -> Stored:
        """Remove ``item``; its last state, at the revision of its end."""
        stored = item.stored
        if dry_run:
            return Stored(stored.key, stored.revision, stored.json, deleted=True)
        try:
            revision = await self.storage.delete(
                storage_key(kind, stored.key), expect=stored.revision
            )
        except Unavailable as error:
            raise _refused(error) from None
        if kind.native == "services":
            await self.claims.release(stored, None)
        await self._wait_seen(revision)
        json = self.cache.of(kind).encoding.at_revision(stored.json, revision)
        return Stored(stored.key, revision, json, deleted=True)

    async def wait_for_winner(self, lost: Changed) -> None:
        """After a lost race: until the cache shows what won."""
        if lost.current is not None:
            await self.cache.wait_applied(lost.current.mod_revision)
            return
        try:
            await self.cache.wait_applied(await self.storage.revision())
        except Unavailable as error:
            raise ServiceUnavailable(str(error), retry_after_seconds=1) from None

    async def _wait_seen(self, revision: int) -> None:
        """Until readers here see what was written; no longer than that may take.

        It is durable in any case, and readers wait for themselves for what is newest.
        """
        with contextlib.suppress(Timeout):
            await self.cache.wait_applied(revision, SEEN_SECONDS_MAX)

    async def _put(
        self, kind: Kind, key: Key, value: bytes, *, expect: int, ttl_seconds: int
    ) -> Stored:
        if len(value) > OBJECT_BYTES_MAX:
            raise RequestEntityTooLarge(
                f"the object is {len(value)} bytes, the limit is {OBJECT_BYTES_MAX}"
            )
        path = storage_key(kind, key)
        try:
            revision = await self.storage.put(path, value, expect=expect, ttl_seconds=ttl_seconds)
        except Unavailable as error:
            raise _refused(error) from None
        await self._wait_seen(revision)
        objects = self.cache.of(kind)
        item = objects.get(key)
        if item is not None and item.stored.revision == revision:
            return item.stored
        # Somebody has written again already: what this write made is rebuilt.
        return Stored(key, revision, objects.encoding.with_revision(value, revision))


def _refused(error: Unavailable) -> ApiError:
    """What the writer is told: to try again only where it is certain that nothing happened."""
    if isinstance(error, Undecided):
        return Timeout(f"Timeout: it is not known whether this was written: {error}")
    return ServiceUnavailable(str(error), retry_after_seconds=1)


def fitting(document: Mapping[str, Any]) -> bytes:
    """The stored text; without managedFields when that makes it small enough.

    Those of an applied object stay: whoever applies relies on them.
    """
    value = encode(document)
    if len(value) <= OBJECT_BYTES_MAX:
        return value
    metadata = document["metadata"]
    entries = metadata.get("managedFields") or ()
    if any(entry["operation"] == "Apply" for entry in entries):
        return value
    rest = {name: item for name, item in metadata.items() if name != "managedFields"}
    return encode({**document, "metadata": rest})


def encode(document: Mapping[str, Any]) -> bytes:
    """The stored text: apiVersion, kind and metadata first, no revision."""
    metadata = document["metadata"]
    if "resourceVersion" in metadata:
        metadata = {name: item for name, item in metadata.items() if name != "resourceVersion"}
    head = {"apiVersion": document["apiVersion"], "kind": document["kind"], "metadata": metadata}
    return _encoder.encode(head | {name: document[name] for name in document if name not in head})
