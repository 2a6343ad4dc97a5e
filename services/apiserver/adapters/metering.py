"""A store that counts and times what is asked of it, by operation and kind of key."""

from bisect import bisect_left
from collections.abc import AsyncIterator, Callable, Sequence

from pilothouse.services.apiserver.ports import Store
from pilothouse.services.machinery.storage import Change, Changed, Entry, Progress

BOUNDS = (
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0,
    10.0, 15.0, 20.0, 30.0, 45.0, 60.0,
)  # fmt: skip
_REGISTRY = b"/registry/"


class Calls:
    """All calls of one operation on one kind of key."""

    __slots__ = ("counts", "errors", "seconds")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0
        self.errors = 0


class MeteredStore:
    """The store below, and ``calls`` by operation and the first segments of the key."""

    def __init__(self, store: Store, now: Callable[[], float]) -> None:
        self.calls: dict[tuple[str, bytes], Calls] = {}
        self._store = store
        self._now = now
        # What is not awaited is the store's own, without a step between.
        self.newest: Callable[[], int | None] = store.newest

    async def load(self, prefix: bytes, revision: int = 0) -> tuple[Sequence[Entry], int]:
        began = self._now()
        try:
            found = await self._store.load(prefix, revision)
        except Exception:
            self._count("list", prefix, began, failed=True)
            raise
        self._count("list", prefix, began)
        return found

    async def put(self, key: bytes, value: bytes, *, expect: int, ttl_seconds: int = 0) -> int:
        operation, began = "update" if expect else "create", self._now()
        try:
            revision = await self._store.put(key, value, expect=expect, ttl_seconds=ttl_seconds)
        except Exception as error:
            self._count(operation, key, began, failed=not isinstance(error, Changed))
            raise
        self._count(operation, key, began)
        return revision

    async def delete(self, key: bytes, *, expect: int) -> int:
        began = self._now()
        try:
            revision = await self._store.delete(key, expect=expect)
        except Exception as error:
            self._count("delete", key, began, failed=not isinstance(error, Changed))
            raise
        self._count("delete", key, began)
        return revision

    def watch(self, prefix: bytes, after: int) -> AsyncIterator[Sequence[Change] | Progress]:
        return self._store.watch(prefix, after)

    async def progress(self) -> None:
        await self._store.progress()

    async def revision(self) -> int:
        return await self._store.revision()

    async def compact(self, revision: int) -> None:
        await self._store.compact(revision)

    async def size(self) -> int:
        return await self._store.size()

    def _count(self, operation: str, key: bytes, began: float, *, failed: bool = False) -> None:
        place = key[len(_REGISTRY) :] if key.startswith(_REGISTRY) else b""
        # Custom kinds of any number share what they are by their group's name alone.
        series = (operation, place[: place.find(b"/")] if b"/" in place else place)
        calls = self.calls.get(series)
        if calls is None:
            calls = self.calls[series] = Calls()
        seconds = self._now() - began
        calls.counts[bisect_left(BOUNDS, seconds)] += 1
        calls.seconds += seconds
        if failed:
            calls.errors += 1
