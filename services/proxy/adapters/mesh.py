"""Services and Nodes as the API server tells them, kept by caches that follow it."""

import asyncio
from collections.abc import Callable, Collection, Sequence

from typing_extensions import override

from pilothouse.services.machinery.kinds.endpoints import ZONE
from pilothouse.services.machinery.kinds.nodes import Node
from pilothouse.services.machinery.kinds.services import (
    SERVICE_NAME,
    EndpointSlice,
    Service,
)
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import ENDPOINT_SLICES, NODES, SERVICES
from pilothouse.services.proxy.ports import Services
from pilothouse.services.runtime.client.cache import Cache
from pilothouse.services.runtime.client.objects import Objects, Selection
from pilothouse.services.runtime.clock import Clock

# A Service with this label is served by another proxy.
NOT_OURS = "service.kubernetes.io/service-proxy-name"

SETTLE_SECONDS = 0.002
"""How long a first change waits for its company: a rolling update moves several slices at once."""

_BY_SERVICE = "service"


class MeshServices(Services):
    """Services and EndpointSlices that follow the API server."""

    def __init__(self, objects: Objects, clock: Clock) -> None:
        ours = Selection(labels=f"!{NOT_OURS}")
        self._clock = clock
        self._services = Cache(objects, SERVICES, Service, ours, clock=clock)
        self._slices = Cache(objects, ENDPOINT_SLICES, EndpointSlice, clock=clock)
        self._slices.add_index(_BY_SERVICE, lambda item: [str(_service_of(item))])
        self._changed: set[Key] = set()
        self._awake = asyncio.Event()
        self._services.on_change(self._service_changed)
        self._slices.on_change(self._slice_changed)

    @override
    def keys(self) -> Collection[Key]:
        return [service.metadata.key for service in self._services.values()]

    @override
    def service(self, key: Key) -> Service | None:
        return self._services.get(key)

    @override
    def slices(self, key: Key) -> Sequence[EndpointSlice]:
        return self._slices.by_index(_BY_SERVICE, str(key))

    @override
    async def wait_changed(self) -> set[Key]:
        await self._awake.wait()
        await self._clock.sleep(SETTLE_SECONDS)
        self._awake.clear()
        changed, self._changed = self._changed, set()
        return changed

    def touch_all(self, _zone: str = "") -> None:
        """Something changed that every Service may depend on, such as the node's zone."""
        self._touch(set(self.keys()))

    async def wait_synced(self) -> None:
        """Until the present state is known."""
        await self._services.wait_synced()
        await self._slices.wait_synced()

    async def run(self) -> None:
        """Follow until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._services.run())
            group.create_task(self._slices.run())

    def _service_changed(self, old: Service | None, new: Service | None) -> None:
        self._touch({item.metadata.key for item in (old, new) if item is not None})

    def _slice_changed(self, old: EndpointSlice | None, new: EndpointSlice | None) -> None:
        self._touch({_service_of(item) for item in (old, new) if item is not None})

    def _touch(self, keys: set[Key]) -> None:
        self._changed |= keys
        self._awake.set()


class MeshNodes:
    """Nodes that follow the API server."""

    def __init__(self, objects: Objects, clock: Clock) -> None:
        self._nodes = Cache(objects, NODES, Node, clock=clock)
        self._awake = asyncio.Event()
        self._nodes.on_change(lambda _old, _new: self._awake.set())

    def nodes(self) -> Sequence[Node]:
        return self._nodes.values()

    def on_zone(self, name: str, *tell: Callable[[str], None]) -> None:
        """Call all of ``tell`` with the zone whenever that of the node ``name`` becomes another."""

        def changed(old: Node | None, new: Node | None) -> None:
            item = new if new is not None else old
            if item is not None and item.metadata.name == name and _zone(old) != _zone(new):
                for each in tell:
                    each(_zone(new))

        self._nodes.on_change(changed)

    async def wait_synced(self) -> None:
        """Until the present state is known."""
        await self._nodes.wait_synced()

    async def wait_changed(self) -> None:
        """Until a Node changed since the last call."""
        await self._awake.wait()
        self._awake.clear()

    async def run(self) -> None:
        """Follow until cancelled."""
        await self._nodes.run()


def _zone(node: Node | None) -> str:
    return node.metadata.labels.get(ZONE, "") if node is not None else ""


def _service_of(item: EndpointSlice) -> Key:
    return Key(item.metadata.namespace, item.metadata.labels.get(SERVICE_NAME, ""))
