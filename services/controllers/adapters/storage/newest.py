"""A cache with our own newest writes in it: who chooses must see what was chosen a moment ago."""

from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

import msgspec

from pilothouse.services.machinery.objects import Key, Viewed
from pilothouse.services.runtime.client.cache import Cache

V = TypeVar("V", bound=Viewed)


class Newest(Generic[V]):
    """``cache``, and what the API server answered to writes that it does not show yet."""

    def __init__(self, cache: Cache[V], view: type[V]) -> None:
        self._cache = cache
        self._decoder = msgspec.json.Decoder(view)
        self._written: dict[Key, V] = {}

    def wrote(self, answer: str) -> V:
        """``answer`` is the object as it is now."""
        item = self._decoder.decode(answer)
        self._written[item.metadata.key] = item
        return item

    def get(self, key: Key) -> V | None:
        written = self._written.get(key)
        if written is None:
            return self._cache.get(key)
        shown = self._cache.get(key)
        if self._cache.revision >= _revision(written) or (
            shown is not None and _revision(shown) >= _revision(written)
        ):
            del self._written[key]
            return shown
        return written

    def of(self, items: Iterable[V]) -> Iterator[V]:
        """These of the cache, each as it is now."""
        for item in items:
            newest = self.get(item.metadata.key) if self._written else item
            if newest is not None:
                yield newest


def _revision(item: Viewed) -> int:
    return int(item.metadata.resource_version or 0)
