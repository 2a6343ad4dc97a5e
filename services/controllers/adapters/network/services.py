"""Services with the pods behind them, and the two kinds that tell of them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec

from pilothouse.services.controllers.adapters import indexes, wiring
from pilothouse.services.controllers.adapters.network import nodecapacity
from pilothouse.services.controllers.adapters.network.slicemeasures import Measures
from pilothouse.services.controllers.adapters.removal import remove
from pilothouse.services.controllers.adapters.world import (
    Controller,
    World,
    controller,
    reference,
)
from pilothouse.services.controllers.network import endpoints as older
from pilothouse.services.controllers.network import endpointslice as newer
from pilothouse.services.controllers.network import hints
from pilothouse.services.controllers.network.endpointslice import Around
from pilothouse.services.controllers.network.slices import ENDPOINTS_MAX, Content
from pilothouse.services.controllers.network.triggers import ANNOTATION, Triggers
from pilothouse.services.machinery.errors import AlreadyExists, Conflict
from pilothouse.services.machinery.kinds import endpoints, pods
from pilothouse.services.machinery.kinds.nodes import Node
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.kinds.services import (
    MANAGED_BY,
    SERVICE_NAME,
    Endpoints,
    EndpointSlice,
    Service,
)
from pilothouse.services.machinery.objects import Key, owner_reference
from pilothouse.services.machinery.resources import (
    ENDPOINT_SLICES,
    ENDPOINTS,
    NODES,
    PODS,
    SERVICES,
)
from pilothouse.services.runtime.control.queue import WorkQueue
from pilothouse.services.runtime.control.settled import Settled

_SERVICE = "service"


class _Behind:
    """Services and the pods of their namespaces: what both controllers ask."""

    def __init__(self, world: World) -> None:
        self._objects = world.objects
        self._services = world.cache(SERVICES, Service)
        self._pods = world.cache(PODS, Pod)
        self._triggers = Triggers()
        indexes.add_selector(self._services)
        indexes.add_label(self._pods)

    def service(self, key: Key) -> Service | None:
        return self._services.get(key)

    def pods_of(self, service: Service) -> Sequence[Pod]:
        return indexes.labelled(self._pods, service.metadata.namespace, service.spec.selector)

    def tell(self, queue: WorkQueue[Key]) -> None:
        """Queue Services that changed, and those whose pods changed in a way that matters."""

        def pod_changed(old: Pod | None, new: Pod | None) -> None:
            before = _seen(old) if old is not None else None
            after = _seen(new) if new is not None else None
            if before == after:
                return
            for pod in (old, new):
                if pod is not None:
                    for service in indexes.selecting(self._services, pod.metadata):
                        queue.add(service.metadata.key)

        self._services.on_change(wiring.itself(queue))
        self._pods.on_change(pod_changed)

    def controller(self, reconciler: Any, queue: WorkQueue[Key]) -> Controller:
        return controller(reconciler, queue, self._services)


def _seen(pod: Pod) -> tuple[object, ...]:
    """All that endpoints say of a pod, and what selects it."""
    return (
        pod.metadata.uid,
        pod.metadata.labels,
        pod.metadata.deleting,
        pod.status.pod_ip,
        pod.status.pod_ips,
        pod.spec.node_name,
        pods.is_ready(pod),
        pods.is_terminal(pod),
    )


class Slices(_Behind):
    """What the EndpointSlice controller asks for."""

    def __init__(self, world: World, queue: WorkQueue[Key], limit: int) -> None:
        super().__init__(world)
        self._queue = queue
        self._limit = limit
        self._recorder = world.recorder("endpoint-slice-controller")
        self._astray: set[Key] = set()
        self._automatic: set[Key] = set()
        self._slices = world.cache(ENDPOINT_SLICES, EndpointSlice)
        self._slices.add_index(_SERVICE, _service_of)
        self._nodes = world.cache(NODES, Node)
        self._settled = Settled(self._slices)
        self.measures = Measures(self._slices, limit)
        self._zones: dict[str, str] = {}
        self._nodes.on_change(self._node_changed)
        self._services.on_change(self._service_changed)

    def slices_of(self, service: Service) -> Sequence[EndpointSlice]:
        key = service.metadata.key
        return self._slices.by_index(_SERVICE, str(key))

    def around(self, service: Service, found: Sequence[Pod]) -> Around:
        capacity = None
        if hints.is_automatic(service):
            capacity = nodecapacity.by_zone(self._nodes.values())
        trigger = self._triggers.look(service, found)
        return Around(self._zones, capacity, self._limit, trigger)

    def forget(self, key: Key) -> None:
        self._triggers.forget(key)
        self._astray.discard(key)
        self._settled.forget(key)

    def settled(self, key: Key) -> bool:
        return self._settled.is_settled(key)

    async def apply(self, service: Service, todo: newer.Plan) -> None:
        key = service.metadata.key
        if todo.astray:
            self._astray.add(key)
        else:
            self._astray.discard(key)
        for note in todo.notes:
            self._recorder.note(reference(SERVICES, service.metadata), *note)
        for content in todo.write:
            self._settled.wrote(key, await self._write(service, content, todo))
            self.measures.changes["create" if content.present is None else "update"] += 1
        for item in todo.delete:
            if await remove(self._objects, ENDPOINT_SLICES, item.metadata):
                self._settled.deleted(key, item.metadata)
                self.measures.changes["delete"] += 1

    async def _write(self, service: Service, content: Content, todo: newer.Plan) -> str:
        metadata, labels = service.metadata, todo.labels
        body: dict[str, Any] = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "namespace": metadata.namespace,
                "labels": labels,
                "annotations": {ANNOTATION: todo.trigger},
                "ownerReferences": [owner_reference(SERVICES, metadata)],
            },
            "addressType": content.family,
            "endpoints": [compact(item) for item in content.endpoints],
            "ports": [{"name": "", **compact(item)} for item in content.ports],
        }
        if content.present is None:
            body["metadata"]["generateName"] = f"{metadata.name}-"
            if todo.trigger is None:
                del body["metadata"]["annotations"]
            return await self._objects.create(ENDPOINT_SLICES, metadata.namespace, body)
        present = content.present.metadata
        gone = {name: None for name in present.labels if name not in labels}
        body["metadata"] = {
            "uid": present.uid,
            "resourceVersion": present.resource_version,
            "labels": {**labels, **gone},
            "annotations": {ANNOTATION: todo.trigger},
        }
        return await self._objects.patch(ENDPOINT_SLICES, present.key, body)

    def _node_changed(self, old: Node | None, new: Node | None) -> None:
        item = new if new is not None else old
        if item is None:
            return
        if new is None:
            self._zones.pop(item.metadata.name, None)
        else:
            self._zones[item.metadata.name] = item.metadata.labels.get(endpoints.ZONE, "")
        if old is None:
            for key in self._astray:
                self._queue.add(key)
        if nodecapacity.weight(old) != nodecapacity.weight(new):
            for key in self._automatic:
                self._queue.add(key)

    def _service_changed(self, old: Service | None, new: Service | None) -> None:
        if new is not None and hints.is_automatic(new):
            self._automatic.add(new.metadata.key)
        elif (item := new if new is not None else old) is not None:
            self._automatic.discard(item.metadata.key)


def _service_of(item: EndpointSlice) -> tuple[str, ...]:
    labels = item.metadata.labels
    if labels.get(MANAGED_BY) != endpoints.SLICE_CONTROLLER:
        return ()
    return (str(Key(item.metadata.namespace, labels.get(SERVICE_NAME, ""))),)


class EndpointsObjects(_Behind):
    """What the Endpoints controller asks for."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._endpoints = world.cache(ENDPOINTS, Endpoints)
        self._bereft: set[Key] = set()
        self._settled = Settled(self._endpoints)

    def endpoints(self, key: Key) -> Endpoints | None:
        return self._endpoints.get(key)

    def settled(self, key: Key) -> bool:
        return self._settled.is_settled(key)

    def trigger(self, service: Service, found: Sequence[Pod]) -> str | None:
        return self._triggers.look(service, found)

    async def write(self, service: Service, present: Endpoints | None, todo: older.Plan) -> None:
        metadata: dict[str, Any] = {"labels": todo.labels, "annotations": todo.annotations}
        body = {
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": metadata,
            "subsets": [compact(item) for item in todo.subsets],
        }
        key = service.metadata.key
        if present is not None:
            metadata["resourceVersion"] = present.metadata.resource_version
            metadata["labels"] = {**dict.fromkeys(present.metadata.labels), **todo.labels}
            self._settled.wrote(key, await self._objects.patch(ENDPOINTS, key, body))
            return
        said = {name: value for name, value in todo.annotations.items() if value is not None}
        metadata |= {"name": key.name, "namespace": key.namespace, "annotations": said}
        try:
            answer = await self._objects.create(ENDPOINTS, key.namespace, body)
        except AlreadyExists as error:
            raise Conflict("the cache has not seen these Endpoints yet") from error
        self._settled.wrote(key, answer)

    async def delete(self, key: Key) -> None:
        self._settled.forget(key)
        self._triggers.forget(key)
        present = self._endpoints.get(key)
        if present is None or older.LEADER in present.metadata.annotations:
            return
        if key in self._bereft or older.MANAGED_BY in present.metadata.labels:
            await remove(self._objects, ENDPOINTS, present.metadata)
        self._bereft.discard(key)

    def watch(self, queue: WorkQueue[Key]) -> None:
        """Queue Services whose Endpoints somebody else changed.

        Endpoints go with their Service, whoever wrote them; those that never had one stay.
        """

        def service_changed(old: Service | None, new: Service | None) -> None:
            if new is not None:
                self._bereft.discard(new.metadata.key)
            elif old is not None and self._endpoints.get(old.metadata.key) is not None:
                self._bereft.add(old.metadata.key)

        self._services.on_change(service_changed)
        self._endpoints.on_change(wiring.itself(queue))


def compact(view: object) -> Any:
    """The view as JSON without what it does not say."""
    return _filled(msgspec.to_builtins(view))


def _filled(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: _filled(item) for name, item in value.items() if item not in (None, "", [], ())
        }
    if isinstance(value, list | tuple):
        return [_filled(item) for item in value]
    return value


def endpointslice(world: World, limit: int = ENDPOINTS_MAX) -> Controller:
    """The EndpointSlice controller, wired; ``limit`` endpoints in a slice."""
    queue: WorkQueue[Key] = WorkQueue()
    cluster = Slices(world, queue, limit)
    cluster.tell(queue)

    def slice_changed(old: EndpointSlice | None, new: EndpointSlice | None) -> None:
        for item in (old, new):
            for name in _service_of(item) if item is not None else ():
                namespace, _, service = name.partition("/")
                queue.add(Key(namespace, service))

    world.cache(ENDPOINT_SLICES, EndpointSlice).on_change(slice_changed)
    made = cluster.controller(newer.EndpointSliceController(cluster), queue)
    return replace(made, measured=cluster.measures.families)


def endpoints_controller(world: World) -> Controller:
    """The Endpoints controller, wired."""
    queue: WorkQueue[Key] = WorkQueue()
    cluster = EndpointsObjects(world)
    cluster.tell(queue)
    cluster.watch(queue)
    return cluster.controller(older.EndpointsController(cluster), queue)
