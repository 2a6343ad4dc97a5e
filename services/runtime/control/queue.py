"""The work queue: a set of keys to look at again, each worked on by one task at most.

A key is *dirty* from ``add`` until ``get``, and *working* from ``get`` until ``done``. Added while
working, it stays dirty and is queued again by ``done``. That is the whole concurrency story of a
controller: no events, no locks, no lost wake-ups. The bound is the number of objects there are.
"""

import asyncio
from collections.abc import Hashable, Iterator
from enum import Enum
from typing import Generic, TypeVar

from pilothouse.services.runtime.control.measures import Spans

K = TypeVar("K", bound=Hashable)


class State(Enum):
    """Of a key."""

    IDLE = "idle"
    DELAYED = "delayed"
    QUEUED = "queued"
    WORKING = "working"


class WorkQueue(Generic[K]):
    """Keys in the order in which they became dirty; ``adds``, ``waits`` and ``works`` are shown."""

    def __init__(self) -> None:
        self.adds = 0
        self.waits = Spans()
        self.works = Spans()
        self._ready: asyncio.Queue[K] = asyncio.Queue()
        # Since when, on the event loop's clock.
        self._dirty: dict[K, float] = {}
        self._working: dict[K, float] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}

    def __len__(self) -> int:
        return self._ready.qsize()

    @property
    def working(self) -> int:
        return len(self._working)

    @property
    def delayed(self) -> int:
        """How many are to be looked at later."""
        return len(self._timers)

    def begun(self, now: float) -> Iterator[float]:
        """For how long each that is worked on has been, seconds."""
        return (now - since for since in self._working.values())

    def state(self, key: K) -> State:
        """Where ``key`` is; worked on counts before all else."""
        if key in self._working:
            return State.WORKING
        if key in self._dirty:
            return State.QUEUED
        return State.DELAYED if key in self._timers else State.IDLE

    def due_seconds(self, key: K) -> float | None:
        """Until it is looked at again by itself; None where nobody asked for that."""
        timer = self._timers.get(key)
        if timer is None:
            return None
        return max(timer.when() - asyncio.get_running_loop().time(), 0.0)

    def add(self, key: K) -> None:
        """Look at ``key`` as soon as a worker is free."""
        if key in self._dirty:
            return
        self.adds += 1
        self._dirty[key] = asyncio.get_running_loop().time()
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
        now = asyncio.get_running_loop().time()
        self.waits.observe(now - self._dirty.pop(key))
        self._working[key] = now
        return key

    def done(self, key: K) -> None:
        """``key`` has been looked at; queued again if it became dirty meanwhile."""
        began = self._working.pop(key)
        self.works.observe(asyncio.get_running_loop().time() - began)
        if key in self._dirty:
            self._ready.put_nowait(key)

    def close(self) -> None:
        """End the timers; who goes on with this queue looks at their keys at once."""
        for key, timer in list(self._timers.items()):
            timer.cancel()
            self._due(key)
