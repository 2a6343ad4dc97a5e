"""Migrations of storage, and the objects of the kinds they name."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from pilothouse.services.controllers.adapters import wiring
from pilothouse.services.controllers.adapters.objects.definitions import DEFINITIONS, Definitions
from pilothouse.services.controllers.adapters.world import Controller, World, controller
from pilothouse.services.controllers.storage.migration import (
    MigrationController,
    Observed,
    is_over,
    marked,
)
from pilothouse.services.machinery import conditions
from pilothouse.services.machinery.conditions import Condition
from pilothouse.services.machinery.errors import ApiError, Conflict, NotFound
from pilothouse.services.machinery.kinds.migrations import GroupResource, StorageVersionMigration
from pilothouse.services.machinery.objects import Key, Metadata, Object
from pilothouse.services.machinery.resources import (
    CLUSTER_SCOPED,
    NAMESPACED,
    STORAGE_VERSION_MIGRATIONS,
    Resource,
)
from pilothouse.services.runtime.control.queue import WorkQueue

_OBJECT = msgspec.json.Decoder(Object)


class Migrations:
    """What the migrator asks for."""

    def __init__(self, world: World) -> None:
        self._objects = world.objects
        self._clock = world.clock
        self._cache = world.cache(STORAGE_VERSION_MIGRATIONS, StorageVersionMigration)
        self._definitions = Definitions(world)

    def observe(self, key: Key) -> Observed | None:
        found = self._cache.get(key)
        if found is None:
            return None
        wanted = found.spec.resource
        beside = [
            other
            for other in self._cache.values()
            if other is not found and other.spec.resource == wanted
        ]
        return Observed(found, self._resource(wanted), beside)

    def _resource(self, wanted: GroupResource) -> Resource | None:
        for resource in (*NAMESPACED, *CLUSTER_SCOPED, *self._definitions.served()):
            if (resource.group, resource.plural) == (wanted.group, wanted.resource):
                return resource
        return None

    def now(self) -> float:
        return self._clock.now()

    async def objects(self, resource: Resource) -> tuple[Sequence[Metadata], int]:
        texts, revision = await self._objects.list(resource)
        return [_OBJECT.decode(text).metadata for text in texts], revision

    async def rewrite(self, resource: Resource, item: Metadata) -> str:
        seen = {"uid": item.uid, "resourceVersion": item.resource_version}
        try:
            await self._objects.patch(resource, item.key, {"metadata": seen})
        except (Conflict, NotFound):
            # It was written meanwhile, or is no more.
            return ""
        except ApiError as error:
            return error.message
        return ""

    async def mark(self, migration: StorageVersionMigration, type_: str) -> None:
        wanted = migration.spec.resource
        key = Key("", f"{wanted.resource}.{wanted.group}")
        try:
            body = json.loads(await self._objects.get(DEFINITIONS, key))
        except NotFound:
            return  # no custom kind
        status = marked(body, migration.metadata.name, type_, self._clock.now())
        await self._objects.update(
            DEFINITIONS, key, {**body, "status": status}, subresource="status"
        )

    async def tell(
        self,
        migration: StorageVersionMigration,
        told: tuple[Condition, ...],
        revision: int | None = None,
    ) -> None:
        status: dict[str, Any] = {"conditions": [conditions.rendered(item) for item in told]}
        if revision is not None:
            status["resourceVersion"] = str(revision)
        patch = {"metadata": {"uid": migration.metadata.uid}, "status": status}
        key = migration.metadata.key
        await self._objects.patch(STORAGE_VERSION_MIGRATIONS, key, patch, subresource="status")


def migrator(world: World) -> Controller:
    """The migrator, wired."""
    found = world.cache(STORAGE_VERSION_MIGRATIONS, StorageVersionMigration)
    queue: WorkQueue[Key] = WorkQueue()

    def ended(old: StorageVersionMigration | None, new: StorageVersionMigration | None) -> None:
        if old is not None and (new is None or is_over(new)):
            for other in found.values():
                if other.spec.resource == old.spec.resource and not is_over(other):
                    queue.add(other.metadata.key)

    found.on_change(wiring.itself(queue))
    found.on_change(ended)
    return controller(MigrationController(Migrations(world)), queue, found, workers=2)
