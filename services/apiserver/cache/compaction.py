"""The store's history ends: after five minutes nobody may list what was before.

As in Kubernetes, the servers agree by a key of their own in the store, whose value is the
revision that was compacted; who writes it does the work, the others read it.
"""

from pilothouse.services.apiserver.cache.cache import Cache
from pilothouse.services.apiserver.ports import Store
from pilothouse.services.machinery.storage import Changed, Unavailable
from pilothouse.services.runtime import telemetry
from pilothouse.services.runtime.clock import Clock

KEY = b"compact_rev_key"


class Compaction:
    """Compacts, an interval later, to what was the newest revision before it."""

    def __init__(self, storage: Store, cache: Cache, clock: Clock, seconds: float) -> None:
        self._storage = storage
        self._cache = cache
        self._clock = clock
        self._seconds = seconds
        self._expect = 0
        self._seen = 0

    async def run(self) -> None:
        """Until cancelled; an interval of 0 never compacts."""
        while self._seconds > 0:
            await self._clock.sleep(self._seconds)
            try:
                await self.tick()
            except Unavailable as error:
                telemetry.logger().warning("history is not compacted", error=str(error))

    async def tick(self) -> None:
        """One interval is over."""
        target = self._seen
        try:
            self._expect = await self._storage.put(KEY, str(target).encode(), expect=self._expect)
        except Changed as lost:
            # Another server was faster; from now on both know of the same revision.
            current = lost.current
            self._expect = 0 if current is None else current.mod_revision
            self._seen = await self._storage.revision()
            if current is not None and current.value.isdigit():
                self._cache.compacted = max(self._cache.compacted, int(current.value))
            return
        self._seen = self._expect
        if target:
            await self._storage.compact(target)
            self._cache.compacted = max(self._cache.compacted, target)
