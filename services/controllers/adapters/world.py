"""What all adapters stand on: the API server, one cache per kind, the clock, events for people."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from pilothouse.services.machinery.objects import Key, Metadata, Object, Viewed
from pilothouse.services.machinery.resources import Resource
from pilothouse.services.runtime.client.cache import Cache
from pilothouse.services.runtime.client.events import Recorder, Reference
from pilothouse.services.runtime.client.objects import EVERYTHING, Objects, Selection
from pilothouse.services.runtime.clock import Clock
from pilothouse.services.runtime.control.loop import Loop, Reconciler
from pilothouse.services.runtime.control.queue import WorkQueue
from pilothouse.services.runtime.exposition import Family

V = TypeVar("V", bound=Viewed)


@dataclass(frozen=True, slots=True)
class Controller:
    """A loop ready to run, every key it could be asked to look at, and what it measures."""

    loop: Loop
    keys: Callable[[], Iterable[Key]]
    measured: Callable[[], Iterable[Family]] = tuple


class World:
    """One per process; caches are made while controllers are wired, and followed by :meth:`run`."""

    def __init__(self, objects: Objects, clock: Clock) -> None:
        self.objects = objects
        self.clock = clock
        self._caches: dict[tuple[Resource, Selection], Cache[Any]] = {}
        self._recorders: dict[str, Recorder] = {}
        self._group: asyncio.TaskGroup | None = None
        self._following: dict[Resource, asyncio.Task[None]] = {}

    def cache(
        self, resource: Resource, view: type[V], selection: Selection = EVERYTHING
    ) -> Cache[V]:
        """The cache of these objects; the first to ask chooses the view."""
        known = self._caches.get((resource, selection))
        if known is None:
            known = Cache(self.objects, resource, view, selection, clock=self.clock)
            self._caches[resource, selection] = known
        return known

    def metadata(self, resource: Resource) -> Cache[Any]:
        """A cache of which only the metadata is of interest; shared with richer views."""
        return self.cache(resource, Object)

    def follow(self, resource: Resource) -> Cache[Any]:
        """The metadata of a kind that came while :meth:`run` runs; until :meth:`forget`."""
        cache = self.metadata(resource)
        if self._group is not None and resource not in self._following:
            self._following[resource] = self._group.create_task(cache.run())
        return cache

    def forget(self, resource: Resource) -> None:
        """Follow a kind no longer that went."""
        self._caches.pop((resource, EVERYTHING), None)
        following = self._following.pop(resource, None)
        if following is not None:
            following.cancel()

    def recorder(self, component: str) -> Recorder:
        """Events from ``component``."""
        if component not in self._recorders:
            self._recorders[component] = Recorder(self.objects, self.clock, component)
        return self._recorders[component]

    def renew(self) -> None:
        """What was seen while another led may be old: every cache reads the present state."""
        for cache in tuple(self._caches.values()):
            cache.renew()

    async def wait_synced(self) -> None:
        """Until every cache has seen the present state once."""
        for cache in tuple(self._caches.values()):
            await cache.wait_synced()

    async def run(self) -> None:
        """Follow all kinds and write events until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            for cache in tuple(self._caches.values()):
                group.create_task(cache.run())
            for recorder in self._recorders.values():
                group.create_task(recorder.run())


def controller(
    reconciler: Reconciler, queue: WorkQueue[Key], cache: Cache[V], *, workers: int = 16
) -> Controller:
    """A controller whose keys are the objects of ``cache``."""
    return Controller(
        Loop(reconciler, queue, workers=workers),
        lambda: [item.metadata.key for item in cache.values()],
    )


def reference(resource: Resource, metadata: Metadata) -> Reference:
    """The object as an event names it."""
    return Reference(
        kind=resource.kind,
        namespace=metadata.namespace,
        name=metadata.name,
        uid=metadata.uid,
        api_version=resource.api_version,
        resource_version=metadata.resource_version,
    )
