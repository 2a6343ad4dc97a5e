"""Claims, volumes and classes that are kept while somebody uses them."""

from collections.abc import Callable, Iterable
from typing import Any

from pilothouse.services.controllers.adapters.world import Controller, World, controller
from pilothouse.services.controllers.storage.protection import ProtectionController
from pilothouse.services.machinery.errors import NotFound
from pilothouse.services.machinery.kinds import volumes
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.kinds.volumes import Claim, PersistentVolume
from pilothouse.services.machinery.objects import Key, Metadata, Object, Viewed
from pilothouse.services.machinery.resources import (
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    VOLUME_ATTRIBUTES_CLASSES,
    Resource,
)
from pilothouse.services.runtime.client.cache import Cache
from pilothouse.services.runtime.control.queue import WorkQueue

CLAIM = "claim"
CLASS = "volume-attributes-class"


class Protected:
    """What the protection controller asks for of one kind; ``used`` tells who holds a key."""

    def __init__(
        self,
        world: World,
        resource: Resource,
        cache: Cache[Any],
        finalizer: str,
        used: Callable[[Key], bool],
    ) -> None:
        self.finalizer = finalizer
        self._objects = world.objects
        self._resource = resource
        self._cache = cache
        self._used = used

    def find(self, key: Key) -> Viewed | None:
        found: Viewed | None = self._cache.get(key)
        return found

    def is_used(self, key: Key) -> bool:
        return self._used(key)

    async def free(self, metadata: Metadata, finalizers: tuple[str, ...]) -> None:
        seen = {"uid": metadata.uid, "resourceVersion": metadata.resource_version}
        patch = {"metadata": {**seen, "finalizers": list(finalizers)}}
        try:
            await self._objects.patch(self._resource, metadata.key, patch)
        except NotFound:
            return


def claims(world: World) -> Controller:
    """A claim stays while a pod that has not ended names it."""
    pods, cache = world.cache(PODS, Pod), world.cache(PERSISTENT_VOLUME_CLAIMS, Claim)
    pods.add_index(CLAIM, lambda pod: map(str, volumes.claims_of(pod)))
    queue: WorkQueue[Key] = WorkQueue()

    def pod_changed(old: Pod | None, new: Pod | None) -> None:
        kept = set(volumes.claims_of(new)) if new is not None else set()
        for key in set(volumes.claims_of(old)) - kept if old is not None else ():
            queue.add(key)

    pods.on_change(pod_changed)
    cluster = Protected(
        world,
        PERSISTENT_VOLUME_CLAIMS,
        cache,
        volumes.CLAIM_FINALIZER,
        lambda key: any(True for _ in pods.by_index(CLAIM, str(key))),
    )
    return _wired("persistentvolumeclaim-protection", cluster, queue, cache)


def persistent_volumes(world: World) -> Controller:
    """A volume stays while it is bound to a claim."""
    cache = world.cache(PERSISTENT_VOLUMES, PersistentVolume)
    queue: WorkQueue[Key] = WorkQueue()

    def bound(key: Key) -> bool:
        found = cache.get(key)
        return found is not None and found.status.phase == "Bound"

    cluster = Protected(world, PERSISTENT_VOLUMES, cache, volumes.VOLUME_FINALIZER, bound)
    return _wired("persistentvolume-protection", cluster, queue, cache)


def classes(world: World) -> Controller:
    """A class of volume attributes stays while a claim or a volume names it."""
    cache = world.cache(VOLUME_ATTRIBUTES_CLASSES, Object)
    queue: WorkQueue[Key] = WorkQueue()

    def ended(old: Claim | PersistentVolume | None, new: Claim | PersistentVolume | None) -> None:
        kept = volumes.classes_of(new) if new is not None else set()
        for name in volumes.classes_of(old) - kept if old is not None else ():
            queue.add(Key("", name))

    def named(item: Claim | PersistentVolume) -> Iterable[str]:
        return volumes.classes_of(item)

    claimed = world.cache(PERSISTENT_VOLUME_CLAIMS, Claim)
    held = world.cache(PERSISTENT_VOLUMES, PersistentVolume)
    claimed.add_index(CLASS, named)
    held.add_index(CLASS, named)
    claimed.on_change(ended)
    held.on_change(ended)

    def used(key: Key) -> bool:
        by_claims, by_volumes = claimed.by_index(CLASS, key.name), held.by_index(CLASS, key.name)
        return any(True for users in (by_claims, by_volumes) for _ in users)

    cluster = Protected(world, VOLUME_ATTRIBUTES_CLASSES, cache, volumes.CLASS_FINALIZER, used)
    return _wired("volumeattributesclass-protection", cluster, queue, cache)


def _wired(name: str, cluster: Protected, queue: WorkQueue[Key], cache: Cache[Any]) -> Controller:
    """It looks at what is to be deleted, when that changes or a use ends."""

    def changed(_: Viewed | None, new: Viewed | None) -> None:
        if new is not None and new.metadata.deleting:
            queue.add(new.metadata.key)

    cache.on_change(changed)
    return controller(ProtectionController(name, cluster), queue, cache)
