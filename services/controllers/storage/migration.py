"""
Storage version migration: every object of a kind is written anew, in the version stored now.

Reads   StorageVersionMigration, every object of the kind it names, CustomResourceDefinition
Writes  those objects (as they are), StorageVersionMigration status,
        CustomResourceDefinition status (StorageMigrating, storedVersions)
Again   while the kind is not known yet, for a minute

Of several migrations of a kind one runs at a time, the oldest first.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pilothouse.services.machinery import conditions, timestamps
from pilothouse.services.machinery.conditions import Condition
from pilothouse.services.machinery.kinds.migrations import StorageVersionMigration
from pilothouse.services.machinery.objects import Key, Metadata
from pilothouse.services.machinery.resources import Resource
from pilothouse.services.runtime.control.loop import DONE, Result

RUNNING, SUCCEEDED, FAILED = "Running", "Succeeded", "Failed"
MIGRATING = "StorageMigrating"
UNKNOWN_SECONDS = 60.0
LOOK_SECONDS = 2.0
_SAID = {
    RUNNING: ("MigrationRunning", "The migration is running"),
    SUCCEEDED: ("StorageVersionMigrationSucceeded", ""),
    FAILED: ("StorageVersionMigrationFailed", ""),
}

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """``say``: conditions to have; ``migrate`` whether to write the objects then."""

    say: tuple[Condition, ...]
    migrate: bool = False
    again_after: float | None = None


def plan(
    migration: StorageVersionMigration,
    beside: Iterable[StorageVersionMigration],
    *,
    known: bool,
    now: float,
) -> Plan:
    """``known``: whether there is such a kind; ``beside``: all other migrations of it."""
    told = migration.status.conditions or ()
    if is_over(migration):
        return Plan(told)
    if not known:
        created = migration.metadata.creation_timestamp
        if created and timestamps.parse(created) + UNKNOWN_SECONDS > now:
            return Plan(told, again_after=LOOK_SECONDS)
        return Plan(said(told, FAILED, now, "resource not found"))
    runs = conditions.is_true(told, RUNNING)
    if not runs and any(_is_before(other, migration) for other in beside):
        return Plan(told)
    return Plan(said(told, RUNNING, now), migrate=True)


def is_over(migration: StorageVersionMigration) -> bool:
    """Whether it has come to an end, a good one or not."""
    told = migration.status.conditions or ()
    return conditions.is_true(told, SUCCEEDED) or conditions.is_true(told, FAILED)


def _is_before(other: StorageVersionMigration, migration: StorageVersionMigration) -> bool:
    if is_over(other) or other.metadata.deleting:
        return False
    runs = conditions.is_true(other.status.conditions or (), RUNNING)
    return runs or _age(other) < _age(migration)


def _age(migration: StorageVersionMigration) -> tuple[str, str]:
    return migration.metadata.creation_timestamp or "", migration.metadata.name


def said(
    told: tuple[Condition, ...], type_: str, now: float, message: str = ""
) -> tuple[Condition, ...]:
    """With the condition ``type_`` true; what ended runs no longer."""
    reason, words = _SAID[type_]
    true = Condition(type=type_, status="True", reason=reason, message=message or words)
    kept = tuple(item for item in told if type_ == RUNNING or item.type != RUNNING)
    return conditions.replaced(kept, true, now)


def marked(definition: Document, name: str, type_: str, now: float) -> Document:
    """The status of the definition of a custom kind, whose migration ``name`` is ``type_`` now.

    What was stored before is gone when all is written anew, and nobody changed the definition
    meanwhile.
    """
    generation = definition["metadata"].get("generation", 0)
    status: Document = {**(definition.get("status") or {})}
    told: list[Document] = list(status.get("conditions") or ())
    old = next((item for item in told if item["type"] == MIGRATING), {})
    same = old.get("observedGeneration") == generation
    words = {RUNNING: f"Migration {name} is running", FAILED: "The migration has failed"}
    if type_ == SUCCEEDED:
        words[SUCCEEDED] = "The migration has succeeded " + (
            "and the stored versions have been updated"
            if same
            else "but the stored versions have not been updated due to a generation mismatch"
        )
        if same:
            versions = (definition.get("spec") or {}).get("versions") or ()
            status["storedVersions"] = [one["name"] for one in versions if one.get("storage")]
    new = {
        "type": MIGRATING,
        "status": "True" if type_ == RUNNING else "False",
        "lastTransitionTime": timestamps.render(now),
        "reason": f"Migration{type_}",
        "message": words[type_],
        "observedGeneration": generation,
    }
    if old.get("status") == new["status"]:
        new["lastTransitionTime"] = old.get("lastTransitionTime")
    return {**status, "conditions": [*(item for item in told if item is not old), new]}


@dataclass(frozen=True, slots=True)
class Observed:
    """A migration, the kind that it names if there is one, and all others of that kind."""

    migration: StorageVersionMigration
    resource: Resource | None
    beside: Sequence[StorageVersionMigration]


class Cluster(Protocol):
    """What this controller asks of the API."""

    def observe(self, key: Key) -> Observed | None: ...
    def now(self) -> float: ...
    async def objects(self, resource: Resource) -> tuple[Sequence[Metadata], int]:
        """All of the kind, and the revision at which they are all."""

    async def rewrite(self, resource: Resource, item: Metadata) -> str:
        """Write it as it is, unless it changed or went; why that is not possible."""

    async def mark(self, migration: StorageVersionMigration, type_: str) -> None:
        """Say it in the definition of the kind, if it is a custom one: see :func:`marked`."""

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
        seen = self._cluster.observe(key)
        if seen is None or seen.migration.metadata.deleting:
            return DONE
        known, now = seen.resource is not None, self._cluster.now()
        todo = plan(seen.migration, seen.beside, known=known, now=now)
        if todo.migrate and seen.resource is not None:
            await self._migrate(seen.migration, seen.resource, todo.say)
        elif todo.say != (seen.migration.status.conditions or ()):
            await self._cluster.tell(seen.migration, todo.say)
        return Result(again_after=todo.again_after)

    async def _migrate(
        self, migration: StorageVersionMigration, resource: Resource, say: tuple[Condition, ...]
    ) -> None:
        await self._cluster.mark(migration, RUNNING)
        found, revision = await self._cluster.objects(resource)
        await self._cluster.tell(migration, say, revision)
        failure = ""
        for item in found:
            failure = failure or await self._cluster.rewrite(resource, item)
        type_, message = SUCCEEDED, ""
        if failure:
            type_, message = FAILED, "migration encountered unhandled error"
        await self._cluster.mark(migration, type_)
        await self._cluster.tell(migration, said(say, type_, self._cluster.now(), message))
