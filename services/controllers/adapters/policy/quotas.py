"""ResourceQuotas, and all that they count."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from pilothouse.services.controllers.adapters import indexes
from pilothouse.services.controllers.adapters.objects.definitions import Definitions
from pilothouse.services.controllers.adapters.world import Controller, World, controller
from pilothouse.services.controllers.policy.resourcequota import (
    Document,
    ResourceQuotaController,
)
from pilothouse.services.machinery.errors import MethodNotAllowed, NotFound
from pilothouse.services.machinery.kinds.pods import Pod, is_terminal
from pilothouse.services.machinery.kinds.quotas import ResourceQuota
from pilothouse.services.machinery.objects import Key, Viewed
from pilothouse.services.machinery.resources import EVENTS, LEASES, NAMESPACED, PODS, Resource
from pilothouse.services.runtime.client.cache import Cache
from pilothouse.services.runtime.client.objects import Selection
from pilothouse.services.runtime.control.queue import WorkQueue

_BY_NAME = {(resource.group, resource.plural): resource for resource in NAMESPACED}
QUOTAS = _BY_NAME["", "resourcequotas"]
_CHANGING = frozenset({"services", "persistentvolumeclaims"})
"""Kinds of which an object may come to use more or less while it lives, pods apart."""

_UNHEARD = frozenset({EVENTS, LEASES})
"""They change all the time; the look every few minutes has to do."""


class Quotas:
    """What the ResourceQuota controller asks for."""

    def __init__(self, world: World) -> None:
        self._objects = world.objects
        self._clock = world.clock
        self._definitions = Definitions(world)

    def now(self) -> float:
        return self._clock.monotonic()

    def time(self) -> float:
        return self._clock.now()

    async def quota(self, key: Key) -> Document | None:
        try:
            found: Document = json.loads(await self._objects.get(QUOTAS, key))
        except NotFound:
            return None
        return None if found["metadata"].get("deletionTimestamp") else found

    async def contents(self, namespace: str, group: str, plural: str) -> Sequence[Document]:
        resource = _BY_NAME.get((group, plural)) or self._custom(group, plural)
        if resource is None:
            return ()
        try:
            texts, _ = await self._objects.list(resource, Selection(namespace=namespace))
        except (NotFound, MethodNotAllowed):
            return ()
        return [json.loads(text) for text in texts]

    def _custom(self, group: str, plural: str) -> Resource | None:
        for resource in self._definitions.served() if group else ():
            if (resource.group, resource.plural) == (group, plural) and resource.namespaced:
                return resource
        return None

    async def write(self, quota: Document, status: Document) -> None:
        metadata = quota["metadata"]
        key = Key(metadata["namespace"], metadata["name"])
        # A replacement, not a merge: bounds that are gone go from the status too.
        body: dict[str, Any] = {**quota, "status": status}
        try:
            await self._objects.update(QUOTAS, key, body, subresource="status")
        except NotFound:
            return


def resourcequota(world: World, resync_seconds: float) -> Controller:
    """The ResourceQuota controller, wired: it hears of all that a quota could count."""
    found = world.cache(QUOTAS, ResourceQuota)
    indexes.add_namespace(found)
    queue: WorkQueue[Key] = WorkQueue()

    others = _counting(found, queue, changing=False)

    def quota_changed(old: ResourceQuota | None, new: ResourceQuota | None) -> None:
        # Its status is written by the API server with every object that it admits.
        if new is not None and (old is None or old.spec != new.spec):
            queue.add(new.metadata.key)
        if new is None:
            others(old, new)  # quotas are counted too

    def served(_: Resource | None, new: Resource | None) -> None:
        if new is not None and new.namespaced:
            world.follow(new).on_change(_counting(found, queue, changing=False))

    found.on_change(quota_changed)
    Definitions(world).on_change(served)
    for resource in NAMESPACED:
        if resource not in _UNHEARD and resource != QUOTAS:
            _hear(world, resource, found, queue)
    reconciler = ResourceQuotaController(Quotas(world), resync_seconds)
    return controller(reconciler, queue, found, workers=2)


def _counting(
    found: Cache[ResourceQuota], queue: WorkQueue[Key], *, changing: bool
) -> Callable[[Viewed | None, Viewed | None], None]:
    """Count again when an object goes, or, where it may, comes to use more or less.

    Of one that comes the API server has counted already. To count it here too would miss those
    that are charged and not stored yet, and let others in in their place.
    """

    def changed(old: Viewed | None, new: Viewed | None) -> None:
        if old is None or (new is not None and not changing):
            return
        for quota in found.by_index(indexes.NAMESPACE, old.metadata.namespace):
            queue.add(quota.metadata.key)

    return changed


def _hear(
    world: World, resource: Resource, found: Cache[ResourceQuota], queue: WorkQueue[Key]
) -> None:
    changing = not resource.group and resource.plural in _CHANGING
    changed = _counting(found, queue, changing=changing)

    def pod_changed(old: Pod | None, new: Pod | None) -> None:
        if old is not None and (new is None or _weight(old) != _weight(new)):
            changed(old, None)

    if resource == PODS:
        world.cache(PODS, Pod).on_change(pod_changed)
    else:
        world.metadata(resource).on_change(changed)


def _weight(pod: Pod) -> object:
    """What decides how much a pod counts: whether it has ended, and what it asks for."""
    spec = pod.spec
    asked = [container.resources for container in (*spec.containers, *spec.init_containers)]
    return is_terminal(pod), asked
