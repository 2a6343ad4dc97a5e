"""A copy of one kind that follows the API server, as typed views.

    watch from 0 ──▶ present state ──▶ initial_end ──▶ changes ──▶ …
         ▲                                               │ stream ends or Expired
         └───────────────── backoff ◀────────────────────┘

A reconnect goes on from the last revision seen; after ``Expired`` the present state is read anew
and what is no longer in it counts as deleted. Handlers run on the event loop, in order, and must
not block: they put keys into queues.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

import msgspec

from pilothouse.services.machinery.errors import ApiError, Expired
from pilothouse.services.machinery.objects import Key, Object, Viewed
from pilothouse.services.machinery.resources import Resource
from pilothouse.services.runtime import telemetry
from pilothouse.services.runtime.client.objects import EVERYTHING, Event, Objects, Selection
from pilothouse.services.runtime.clock import Clock, SystemClock

BACKOFF_FIRST_SECONDS = 0.1
BACKOFF_MAX_SECONDS = 2.0

V = TypeVar("V", bound=Viewed)
Handler = Callable[[V | None, V | None], None]
Indexer = Callable[[V], Iterable[str]]


class Cache(Generic[V]):
    """All objects of ``resource`` in ``selection``, decoded to ``view``."""

    def __init__(
        self,
        objects: Objects,
        resource: Resource,
        view: type[V],
        selection: Selection = EVERYTHING,
        *,
        clock: Clock | None = None,
    ) -> None:
        self.resource = resource
        self.revision = 0
        self._objects = objects
        self._selection = selection
        self._decoder = msgspec.json.Decoder(view)
        self._clock = clock or SystemClock()
        self._items: dict[Key, V] = {}
        self._handlers: list[Handler[V]] = []
        self._indexers: dict[str, Indexer[V]] = {}
        self._indexes: dict[str, dict[str, dict[Key, V]]] = {}
        self._synced = asyncio.Event()
        self._stream: asyncio.Timeout | None = None
        self._log = telemetry.logger(kind=resource.kind)

    def get(self, key: Key) -> V | None:
        return self._items.get(key)

    def values(self) -> list[V]:
        return list(self._items.values())

    def __len__(self) -> int:
        return len(self._items)

    def on_change(self, handler: Handler[V]) -> None:
        """Call ``handler(old, new)`` on every change; one of the two is None at birth and death."""
        self._handlers.append(handler)

    def add_index(self, name: str, indexer: Indexer[V]) -> None:
        """Keep objects findable by the values that ``indexer`` gives; before :meth:`run`."""
        self._indexers[name] = indexer
        self._indexes[name] = {}

    def by_index(self, name: str, value: str) -> list[V]:
        return list(self._indexes[name].get(value, {}).values())

    def count(self, name: str, value: str) -> int:
        """How many :meth:`by_index` would give."""
        return len(self._indexes[name].get(value, ()))

    async def wait_synced(self) -> None:
        """Until the present state has been seen once."""
        await self._synced.wait()

    def renew(self) -> None:
        """Read the present state anew, unless that is under way; ``wait_synced`` waits for it.

        What a watch has shown may be from a while ago. Who begins to act must not act on that.
        """
        if not self._synced.is_set():
            return
        self._synced.clear()
        if self._stream is not None:
            self._stream.reschedule(asyncio.get_running_loop().time())

    async def run(self) -> None:
        """Follow until cancelled."""
        backoff = BACKOFF_FIRST_SECONDS
        while True:
            try:
                if await self._follow_unless_renewed():
                    backoff = BACKOFF_FIRST_SECONDS
            except TimeoutError:
                continue  # the present state is asked for
            except Expired:
                self.revision = 0
            except ApiError as error:
                if backoff == BACKOFF_FIRST_SECONDS:  # once an outage, not at every try
                    self._log.info("watch ended", error=error.message)
            await self._clock.sleep(backoff)
            backoff = min(backoff * 2, BACKOFF_MAX_SECONDS)

    async def _follow_unless_renewed(self) -> bool:
        """TimeoutError when it is to begin anew."""
        try:
            async with asyncio.timeout(None) as self._stream:
                return await self._follow()
        finally:
            self._stream = None

    async def _follow(self) -> bool:
        """One stream, to its end; whether anything came."""
        if not self._synced.is_set():
            self.revision = 0
        present: set[Key] | None = set() if self.revision == 0 else None
        came = False
        async for batch in self._objects.watch(
            self.resource, self._selection, revision=self.revision
        ):
            came = True
            for event in batch:
                if event.type == "BOOKMARK":
                    if event.initial_end and present is not None:
                        self._forget_absent(present)
                        present = None
                        self._synced.set()
                else:
                    self._apply(event, present)
                if present is None:
                    self.revision = max(self.revision, event.revision)
        return came

    def _apply(self, event: Event, present: set[Key] | None) -> None:
        try:
            view = self._decoder.decode(event.json)
        except msgspec.ValidationError as error:
            self._pass_over(event, error)
            return
        key = view.metadata.key
        if event.type == "DELETED":
            self._replace(key, None)
            return
        if present is not None:
            present.add(key)
        self._replace(key, view)

    def _pass_over(self, event: Event, error: msgspec.ValidationError) -> None:
        """One object that is not as it should be hides no other: it counts as not there."""
        key = msgspec.json.decode(event.json, type=Object).metadata.key
        self._log.error("object passed over", key=str(key), error=str(error))
        self._replace(key, None)

    def _forget_absent(self, present: set[Key]) -> None:
        for key in [key for key in self._items if key not in present]:
            self._replace(key, None)

    def _replace(self, key: Key, new: V | None) -> None:
        old = self._items.get(key)
        if new is None:
            if old is None:
                return
            del self._items[key]
        else:
            if old is not None and _version(old) == _version(new):
                return
            self._items[key] = new
        self._reindex(key, old, new)
        for handler in self._handlers:
            try:
                handler(old, new)
            except Exception as error:  # noqa: BLE001 - one object is no other's failure
                self._log.error("change passed over", key=str(key), exc_info=error)

    def _indexed(self, key: Key, indexer: Indexer[V], item: V) -> tuple[str, ...]:
        try:
            return tuple(indexer(item))
        except Exception as error:  # noqa: BLE001 - one object is no other's failure
            self._log.error("object not indexed", key=str(key), exc_info=error)
            return ()

    def _reindex(self, key: Key, old: V | None, new: V | None) -> None:
        for name, indexer in self._indexers.items():
            index = self._indexes[name]
            before = self._indexed(key, indexer, old) if old is not None else ()
            after = self._indexed(key, indexer, new) if new is not None else ()
            if before != after:
                for value in before:
                    bucket = index.get(value)
                    if bucket is not None:
                        bucket.pop(key, None)
                        if not bucket:
                            del index[value]
            if new is not None:
                for value in after:
                    index.setdefault(value, {})[key] = new


def _version(item: Viewed) -> str:
    return item.metadata.resource_version
