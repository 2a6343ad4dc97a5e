"""The work queue: a set of keys to look at again, each worked on by one task at most.

A key is *dirty* from ``add`` until ``get``, and *working* from ``get`` until ``done``. Added while
working, it stays dirty and is queued again by ``done``. That is the whole concurrency story of a
controller: no events, no locks, no lost wake-ups. The bound is the number of objects there are.
"""

import asyncio
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class WorkQueue(Generic[K]):
    """Keys in the order in which they became dirty."""

    def __init__(self) -> None:
        self._ready: asyncio.Queue[K] = asyncio.Queue()
        self._dirty: set[K] = set()
        self._working: set[K] = set()
        self._timers: dict[K, asyncio.TimerHandle] = {}

    def __len__(self) -> int:
        return self._ready.qsize()

    @property
    def working(self) -> int:
        return len(self._working)

    def add(self, key: K) -> None:
        """Look at ``key`` as soon as a worker is free."""
        if key in self._dirty:
            return
        self._dirty.add(key)
        if key not in self._working:
            self._ready.put_nowait(key)

    def add_after(self, key: K, seconds: float) -> None:
        """Look at ``key`` then; of several such wishes for a key the earliest counts."""
        loop = asyncio.get_running_loop()
        due = loop.time() + seconds
        timer = self._timers.get(key)
        if timer is not None:
            if timer.when() <= due:
                return
            timer.cancel()
        self._timers[key] = loop.call_at(due, self._due, key)

    def _due(self, key: K) -> None:
        self._timers.pop(key, None)
        self.add(key)

    async def get(self) -> K:
        """The next key; the caller calls :meth:`done` with it."""
        key = await self._ready.get()
        self._dirty.remove(key)
        self._working.add(key)
        return key

    def done(self, key: K) -> None:
        """``key`` has been looked at; queued again if it became dirty meanwhile."""
        self._working.remove(key)
        if key in self._dirty:
            self._ready.put_nowait(key)

    def close(self) -> None:
        """End the timers; who goes on with this queue looks at their keys at once."""
        for key, timer in list(self._timers.items()):
            timer.cancel()
            self._due(key)
