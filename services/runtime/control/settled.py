"""Whether a cache has caught up with what we ourselves wrote.

A controller that acts on a cache from before its own last write acts twice. It therefore records
each write here and holds still until the cache shows it: creations and changes by their revision,
deletions by the object being gone or going.
"""

from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from pilothouse.services.machinery.objects import Key, Metadata, Object, Viewed


class Seen(Protocol):
    """The cache's side: the newest revision it shows, and what it shows."""

    @property
    def revision(self) -> int: ...
    def get(self, key: Key) -> Viewed | None: ...


@dataclass(slots=True)
class _Pending:
    revision: int = 0
    deleted: dict[Key, str] = field(default_factory=dict)


class Settled:
    """Our own writes to the objects of one cache, by the key they were made for."""

    def __init__(self, cache: Seen) -> None:
        self._cache = cache
        self._decoder = msgspec.json.Decoder(Object)
        self._pending: dict[Key, _Pending] = {}

    def wrote(self, key: Key, answer: str) -> Metadata:
        """For ``key`` an object was created or changed; ``answer`` is its JSON, read here."""
        metadata = self._decoder.decode(answer).metadata
        pending = self._pending.setdefault(key, _Pending())
        pending.revision = max(pending.revision, int(metadata.resource_version or 0))
        return metadata

    def deleted(self, key: Key, item: Metadata) -> None:
        """For ``key`` the object ``item`` was deleted."""
        self._pending.setdefault(key, _Pending()).deleted[item.key] = item.uid

    def is_settled(self, key: Key) -> bool:
        """Whether the cache shows every write made for ``key``."""
        pending = self._pending.get(key)
        if pending is None:
            return True
        for item, uid in list(pending.deleted.items()):
            shown = self._cache.get(item)
            if shown is None or shown.metadata.uid != uid or shown.metadata.deleting:
                del pending.deleted[item]
        if pending.deleted or pending.revision > self._cache.revision:
            return False
        del self._pending[key]
        return True

    def forget(self, key: Key) -> None:
        """``key`` is gone."""
        self._pending.pop(key, None)
