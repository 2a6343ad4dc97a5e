"""Writes of pods that nobody answered: they were carried out, or they were not.

Whoever tried again at once would make a pod twice, for the first one is not in the cache yet. So
the API is asked what is there, and the cache is waited for until it shows that.
"""

import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence

import msgspec

from pilothouse.services.controllers.adapters import indexes
from pilothouse.services.controllers.adapters.world import World
from pilothouse.services.machinery.errors import (
    ApiError,
    InternalError,
    ServiceUnavailable,
    Timeout,
)
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.objects import Key, Metadata, Object, controller_of
from pilothouse.services.machinery.resources import PODS
from pilothouse.services.runtime.client.cache import Cache
from pilothouse.services.runtime.client.objects import Selection
from pilothouse.services.runtime.control.settled import Settled

UNANSWERED = (ServiceUnavailable, Timeout, InternalError)
AGAIN_SECONDS = 1.0

_OBJECT = msgspec.json.Decoder(Object)


class Doubts:
    """By the key of the owner whose pods were written."""

    def __init__(self, world: World, settled: Settled, cache: Cache[Pod]) -> None:
        self._objects = world.objects
        self._clock = world.clock
        self._settled = settled
        self._cache = cache
        self._keys: set[Key] = set()

    @contextlib.contextmanager
    def noting(self, key: Key) -> Iterator[None]:
        """Around one write for ``key``."""
        try:
            yield
        except UNANSWERED:
            self._keys.add(key)
            raise

    @contextlib.asynccontextmanager
    async def settling(self, owner: Metadata) -> AsyncIterator[None]:
        """Around all writes of one look at ``owner``; afterwards nothing is in doubt."""
        self._keys.discard(owner.key)
        try:
            yield
        except ApiError:
            await self._dispel(owner)
            raise
        await self._dispel(owner)

    async def _dispel(self, owner: Metadata) -> None:
        while owner.key in self._keys:
            try:
                texts, revision = await self._objects.list(PODS, Selection(owner.namespace))
            except UNANSWERED:
                await self._clock.sleep(AGAIN_SECONDS)
                continue
            self._keys.discard(owner.key)
            self._compare(owner, texts, revision)

    def _compare(self, owner: Metadata, texts: Sequence[str], revision: int) -> None:
        there = set()
        for text in texts:
            metadata = _OBJECT.decode(text).metadata
            controller = controller_of(metadata)
            if controller is not None and controller.uid == owner.uid:
                there.add(metadata.key)
                self._settled.wrote(owner.key, text)
        for pod in self._cache.by_index(indexes.CONTROLLER, owner.uid):
            known = int(pod.metadata.resource_version or 0) <= revision
            if known and pod.metadata.key not in there:
                self._settled.deleted(owner.key, pod.metadata)
