"""Namespaces on their way out, and all that is in them."""

import json
from collections.abc import Sequence

import msgspec

from pilothouse.services.controllers.adapters import wiring
from pilothouse.services.controllers.adapters.objects.definitions import Definitions
from pilothouse.services.controllers.adapters.removal import remove
from pilothouse.services.controllers.adapters.world import Controller, World, controller
from pilothouse.services.controllers.namespace.namespace import (
    Contents,
    Failures,
    Item,
    NamespaceController,
)
from pilothouse.services.machinery import conditions
from pilothouse.services.machinery.conditions import Condition
from pilothouse.services.machinery.errors import (
    ApiError,
    Conflict,
    MethodNotAllowed,
    NotFound,
    ServiceUnavailable,
    Timeout,
)
from pilothouse.services.machinery.kinds.namespaces import FINALIZER, Namespace
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.objects import Key, Object
from pilothouse.services.machinery.resources import NAMESPACED, NAMESPACES, PODS, Resource
from pilothouse.services.runtime.client.cache import Cache
from pilothouse.services.runtime.client.objects import Selection
from pilothouse.services.runtime.control import batches
from pilothouse.services.runtime.control.queue import WorkQueue

_OBJECT = msgspec.json.Decoder(Object)


class Namespaces:
    """What the Namespace controller asks for."""

    def __init__(self, world: World, found: Cache[Namespace]) -> None:
        self._objects = world.objects
        self._definitions = Definitions(world)
        self._clock = world.clock
        self._namespaces = found

    def namespace(self, key: Key) -> Namespace | None:
        return self._namespaces.get(key)

    def now(self) -> float:
        return self._clock.now()

    async def contents(self, namespace: Namespace) -> Contents:
        inside = Selection(namespace=namespace.metadata.name)
        found: list[Item] = []
        failures: dict[Resource, ApiError] = {}
        custom = [resource for resource in self._definitions.served() if resource.namespaced]
        for resource in (*NAMESPACED, *custom):
            try:
                texts, _ = await self._objects.list(resource, inside)
            except (NotFound, MethodNotAllowed):
                continue  # this API server does not serve the kind, so there is none of it
            except (ServiceUnavailable, Timeout):
                raise  # it is the server that does not answer, not the kind
            except ApiError as error:
                failures[resource] = error
                continue
            found += [Item(resource, _OBJECT.decode(text).metadata) for text in texts]
        # Read afterwards: all that was found is in this one, and not in the next of its name.
        await self._present(namespace)
        return Contents(found, failures)

    async def delete(self, items: Sequence[Item]) -> Failures:
        failures: dict[Resource, ApiError] = {}

        async def delete(item: Item) -> None:
            metadata = item.metadata
            try:
                await remove(
                    self._objects, item.resource, metadata, propagation_policy="Background"
                )
            except Conflict:
                return  # another has its name by now: the next look finds it
            except ApiError as error:
                failures.setdefault(item.resource, error)

        await batches.each(items, delete)
        return failures

    async def write_conditions(self, namespace: Namespace, told: Sequence[Condition]) -> None:
        patch = {
            "metadata": {"uid": namespace.metadata.uid},
            "status": {"conditions": [conditions.rendered(item) for item in told]},
        }
        await self._objects.patch(NAMESPACES, namespace.metadata.key, patch, subresource="status")

    async def release(self, namespace: Namespace) -> None:
        key = namespace.metadata.key
        try:
            body = json.loads(await self._present(namespace))
            kept = [name for name in namespace.spec.finalizers if name != FINALIZER]
            body["spec"] = {**body.get("spec", {}), "finalizers": kept}
            await self._objects.update(NAMESPACES, key, body, subresource="finalize")
        except NotFound:
            return

    async def _present(self, namespace: Namespace) -> str:
        """Itself as it is now; NotFound where it is gone, whatever has its name since."""
        text = await self._objects.get(NAMESPACES, namespace.metadata.key)
        if _OBJECT.decode(text).metadata.uid != namespace.metadata.uid:
            raise NotFound(f'namespaces "{namespace.metadata.name}" of then not found')
        return text


def namespace(world: World) -> Controller:
    """The Namespace controller, wired: it also hears when a pod of such a namespace is gone."""
    found = world.cache(NAMESPACES, Namespace)
    queue: WorkQueue[Key] = WorkQueue()

    def pod_changed(old: Pod | None, new: Pod | None) -> None:
        if old is None or new is not None:
            return
        key = Key("", old.metadata.namespace)
        above = found.get(key)
        if above is not None and above.metadata.deleting:
            queue.add(key)

    found.on_change(wiring.itself(queue))
    world.cache(PODS, Pod).on_change(pod_changed)
    return controller(NamespaceController(Namespaces(world, found)), queue, found)
