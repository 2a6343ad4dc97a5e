"""Migrations of storage, and the objects of the kinds they name."""

from collections.abc import Sequence
from typing import Any

import msgspec

from pilothouse.services.controllers.adapters import wiring
from pilothouse.services.controllers.adapters.definitions import Definitions
from pilothouse.services.controllers.adapters.world import Controller, World, controller
from pilothouse.services.controllers.storage.migration import MigrationController
from pilothouse.services.machinery import conditions
from pilothouse.services.machinery.conditions import Condition
from pilothouse.services.machinery.errors import ApiError, Conflict, NotFound
from pilothouse.services.machinery.kinds.migrations import StorageVersionMigration
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

    def find(self, key: Key) -> StorageVersionMigration | None:
        return self._cache.get(key)

    def resource(self, migration: StorageVersionMigration) -> Resource | None:
        wanted = migration.spec.resource
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
    found.on_change(wiring.itself(queue))
    return controller(MigrationController(Migrations(world)), queue, found, workers=2)
