"""
Storage version migration: every object of a kind is written anew, in the version stored now.

Reads   StorageVersionMigration, every object of the kind it names
Writes  those objects (as they are), StorageVersionMigration status
Again   while the kind is not known yet, for a minute
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pilothouse.services.machinery import conditions, timestamps
from pilothouse.services.machinery.conditions import Condition
from pilothouse.services.machinery.kinds.migrations import StorageVersionMigration
from pilothouse.services.machinery.objects import Key, Metadata
from pilothouse.services.machinery.resources import Resource
from pilothouse.services.runtime.control.loop import DONE, Result

RUNNING, SUCCEEDED, FAILED = "Running", "Succeeded", "Failed"
UNKNOWN_SECONDS = 60.0
LOOK_SECONDS = 2.0
_REASONS = {
    RUNNING: "StorageVersionMigrationInProgress",
    SUCCEEDED: "StorageVersionMigrationSucceeded",
    FAILED: "StorageVersionMigrationFailed",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """``say``: conditions to have; ``migrate`` whether to write the objects then."""

    say: tuple[Condition, ...]
    migrate: bool = False
    again_after: float | None = None


def plan(migration: StorageVersionMigration, *, known: bool, now: float) -> Plan:
    """``known``: whether there is such a kind."""
    told = migration.status.conditions or ()
    if conditions.is_true(told, SUCCEEDED) or conditions.is_true(told, FAILED):
        return Plan(told)
    if known:
        return Plan(said(told, RUNNING, "", now), migrate=True)
    created = migration.metadata.creation_timestamp
    if created and timestamps.parse(created) + UNKNOWN_SECONDS > now:
        return Plan(told, again_after=LOOK_SECONDS)
    return Plan(said(told, FAILED, "resource not found", now))


def said(
    told: tuple[Condition, ...], type_: str, message: str, now: float
) -> tuple[Condition, ...]:
    """With the condition ``type_`` true; what ended runs no longer."""
    if type_ != RUNNING and conditions.find(told, RUNNING) is not None:
        ended = Condition(type=RUNNING, status="False", reason=_REASONS[type_], message=message)
        told = conditions.replaced(told, ended, now)
    true = Condition(type=type_, status="True", reason=_REASONS[type_], message=message)
    return conditions.replaced(told, true, now)


class Cluster(Protocol):
    """What this controller asks of the API."""

    def find(self, key: Key) -> StorageVersionMigration | None: ...
    def resource(self, migration: StorageVersionMigration) -> Resource | None: ...
    def now(self) -> float: ...
    async def objects(self, resource: Resource) -> tuple[Sequence[Metadata], int]:
        """All of the kind, and the revision at which they are all."""

    async def rewrite(self, resource: Resource, item: Metadata) -> str:
        """Write it as it is, unless it changed or went; why that is not possible."""

    async def tell(
        self,
        migration: StorageVersionMigration,
        told: tuple[Condition, ...],
        revision: int | None = None,
    ) -> None: ...


class MigrationController:
    """Migrates each kind that is asked for, once."""

    name = "storage-version-migrator"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def reconcile(self, key: Key) -> Result:
        migration = self._cluster.find(key)
        if migration is None or migration.metadata.deleting:
            return DONE
        resource = self._cluster.resource(migration)
        todo = plan(migration, known=resource is not None, now=self._cluster.now())
        if not todo.migrate or resource is None:
            if todo.say != (migration.status.conditions or ()):
                await self._cluster.tell(migration, todo.say)
            return Result(again_after=todo.again_after)
        found, revision = await self._cluster.objects(resource)
        await self._cluster.tell(migration, todo.say, revision)
        failure = ""
        for item in found:
            failure = failure or await self._cluster.rewrite(resource, item)
        type_, message = SUCCEEDED, ""
        if failure:
            type_, message = FAILED, "migration encountered unhandled error"
        told = said(todo.say, type_, message, self._cluster.now())
        await self._cluster.tell(migration, told)
        return DONE
