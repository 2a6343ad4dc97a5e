"""Endpoints that people wrote, and the EndpointSlices that mirror them."""

from collections.abc import Sequence
from typing import Any

from pilothouse.services.controllers.adapters import wiring
from pilothouse.services.controllers.adapters.network.services import compact
from pilothouse.services.controllers.adapters.removal import remove
from pilothouse.services.controllers.adapters.world import (
    Controller,
    World,
    controller,
    reference,
)
from pilothouse.services.controllers.network.endpointslicemirroring import (
    ADDRESSES_MAX,
    CONTROLLER,
    EndpointSliceMirroringController,
    Plan,
)
from pilothouse.services.controllers.network.slices import Content
from pilothouse.services.machinery.kinds.services import (
    MANAGED_BY,
    SERVICE_NAME,
    Endpoints,
    EndpointSlice,
    Service,
)
from pilothouse.services.machinery.objects import Key, owner_reference
from pilothouse.services.machinery.resources import ENDPOINT_SLICES, ENDPOINTS, SERVICES
from pilothouse.services.runtime.control.queue import WorkQueue
from pilothouse.services.runtime.control.settled import Settled

_MIRRORED = "mirrored"


class Mirrors:
    """What the mirroring controller asks for."""

    def __init__(self, world: World, limit: int) -> None:
        self._objects = world.objects
        self._limit = limit
        self._recorder = world.recorder("endpoint-slice-mirroring-controller")
        self._endpoints = world.cache(ENDPOINTS, Endpoints)
        self._services = world.cache(SERVICES, Service)
        self._slices = world.cache(ENDPOINT_SLICES, EndpointSlice)
        self._slices.add_index(_MIRRORED, _mirrored)
        self._settled = Settled(self._slices)

    def written(self, key: Key) -> Endpoints | None:
        return self._endpoints.get(key)

    def service(self, key: Key) -> Service | None:
        return self._services.get(key)

    def mirrors(self, key: Key) -> Sequence[EndpointSlice]:
        return self._slices.by_index(_MIRRORED, str(key))

    def settled(self, key: Key) -> bool:
        return self._settled.is_settled(key)

    def limit(self) -> int:
        return self._limit

    async def mirror(self, key: Key, written: Endpoints | None, todo: Plan) -> None:
        if written is not None and todo.skipped:
            text = (
                f"A max of {self._limit} addresses can be mirrored to EndpointSlices per Endpoints "
                f"subset. {todo.skipped} addresses were skipped"
            )
            about = reference(ENDPOINTS, written.metadata)
            self._recorder.note(about, "Warning", "TooManyAddressesToMirror", text)
        for content in todo.write:
            if written is not None:
                answer = await self._write(written, content, todo)
                self._settled.wrote(key, answer)
        for item in todo.delete:
            if await remove(self._objects, ENDPOINT_SLICES, item.metadata):
                self._settled.deleted(key, item.metadata)

    async def _write(self, written: Endpoints, content: Content, todo: Plan) -> str:
        owner = written.metadata
        metadata: dict[str, Any] = {"labels": todo.labels, "annotations": todo.annotations}
        body = {
            "apiVersion": ENDPOINT_SLICES.api_version,
            "kind": ENDPOINT_SLICES.kind,
            "metadata": metadata,
            "addressType": content.family,
            "endpoints": [compact(item) for item in content.endpoints],
            "ports": [{"name": "", **compact(item)} for item in content.ports],
        }
        if content.present is None:
            metadata |= {
                "generateName": f"{owner.name}-",
                "namespace": owner.namespace,
                "ownerReferences": [owner_reference(ENDPOINTS, owner)],
            }
            return await self._objects.create(ENDPOINT_SLICES, owner.namespace, body)
        present = content.present.metadata
        metadata |= {
            "uid": present.uid,
            "resourceVersion": present.resource_version,
            "labels": {**dict.fromkeys(present.labels), **todo.labels},
            "annotations": {**dict.fromkeys(present.annotations), **todo.annotations},
        }
        return await self._objects.patch(ENDPOINT_SLICES, present.key, body)


def _mirrored(item: EndpointSlice) -> tuple[str, ...]:
    labels = item.metadata.labels
    if labels.get(MANAGED_BY) != CONTROLLER:
        return ()
    return (str(Key(item.metadata.namespace, labels.get(SERVICE_NAME, ""))),)


def endpointslicemirroring(world: World, limit: int = ADDRESSES_MAX) -> Controller:
    """The mirroring controller, wired: it hears of Endpoints, their Services, and its slices."""
    queue: WorkQueue[Key] = WorkQueue()
    cluster = Mirrors(world, limit)
    written = world.cache(ENDPOINTS, Endpoints)

    def slice_changed(old: EndpointSlice | None, new: EndpointSlice | None) -> None:
        for item in (old, new):
            for name in _mirrored(item) if item is not None else ():
                namespace, _, named = name.partition("/")
                queue.add(Key(namespace, named))

    written.on_change(wiring.itself(queue))
    world.cache(SERVICES, Service).on_change(wiring.itself(queue))
    world.cache(ENDPOINT_SLICES, EndpointSlice).on_change(slice_changed)
    return controller(EndpointSliceMirroringController(cluster), queue, written)
