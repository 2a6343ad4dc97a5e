"""Definitions are accepted, established, and cleared away when they are deleted.

Every server on a store does this. All come to the same, and who is late finds nothing to write.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from pilothouse.services.apiserver.cache.cache import Cache
from pilothouse.services.apiserver.crds import naming
from pilothouse.services.apiserver.crds.publishing import GROUP, PLURAL, VERSION, Definitions
from pilothouse.services.apiserver.kinds.catalog import Catalog
from pilothouse.services.apiserver.kinds.kind import Kind
from pilothouse.services.apiserver.objects.collection import delete_all
from pilothouse.services.apiserver.objects.commits import Commits
from pilothouse.services.apiserver.objects.removals import Removals
from pilothouse.services.apiserver.requests import DeleteOptions, Stored, Target, User
from pilothouse.services.machinery.errors import NotFound
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.storage import Changed
from pilothouse.services.runtime.clock import Clock
from pilothouse.services.runtime.control.loop import DONE, Loop, Result
from pilothouse.services.runtime.control.queue import WorkQueue

Document = dict[str, Any]
Build = Callable[[Document], Document]

SYSTEM = User("system:apiserver", ("system:masters",))
RACES_MAX = 8


class Establishing:
    """Looks at each definition that changed; one at a time, as their names depend on each other."""

    name = "establishing"

    def __init__(
        self,
        definitions: Definitions,
        catalog: Catalog,
        cache: Cache,
        commits: Commits,
        removals: Removals,
        clock: Clock,
    ) -> None:
        self._definitions = definitions
        self._kind: Kind = catalog.lookup(GROUP, VERSION, PLURAL)
        self._cache = cache
        self._commits = commits
        self._removals = removals
        self._clock = clock
        self._queue: WorkQueue[Key] = WorkQueue()
        self._loop = Loop(self, self._queue, workers=1)
        definitions.subscribe(self._concern)

    async def run(self) -> None:
        """Until cancelled."""
        await self._loop.run()

    async def reconcile(self, key: Key) -> Result:
        """Bring the status of one definition up to what it says, or clear it away."""
        await self._look(key.name)
        return DONE

    def _concern(self, name: str) -> None:
        self._queue.add(Key("", name))

    async def _look(self, name: str) -> None:
        definition = self._definitions.by_name.get(name)
        if definition is None:
            return
        if definition.metadata.deletion_timestamp is not None:
            if naming.FINALIZER in definition.metadata.finalizers:
                await self._clear(name)
            return
        accepted, verdicts = naming.plan(definition, self._definitions.same_group(definition))
        now = self._clock.now()

        def build(document: Document) -> Document:
            status = naming.with_names(document.get("status") or {}, accepted)
            return {**document, "status": naming.with_conditions(status, verdicts, now)}

        if await self._rewrite(name, build) and accepted != definition.status.accepted_names:
            # Names that it had may be free now for others.
            for other in self._definitions.same_group(definition):
                if not other.is_true("NamesAccepted"):
                    self._concern(other.metadata.name)

    async def _clear(self, name: str) -> None:
        """Delete all objects; when the last is gone, let the definition go."""
        now = self._clock.now()
        stored = self._definitions.stored_kind(name)
        objects = [] if stored is None else [each.stored for each in self._cache.of(stored).items()]
        if objects and stored is not None:
            await self._rewrite(name, lambda document: _told(document, naming.IN_PROGRESS, now))
            await delete_all(objects, lambda each: self._delete(stored, each))
            if len(self._cache.of(stored)):
                # Somebody holds them back; the last to go calls again.
                return
        await self._rewrite(name, lambda document: _released(document, now))

    async def _delete(self, kind: Kind, each: Stored) -> Stored:
        target = Target(kind.group, kind.version, kind.plural, each.key.namespace, each.key.name)
        return await self._removals.delete(SYSTEM, kind, target, DeleteOptions())

    async def _rewrite(self, name: str, build: Build) -> bool:
        """Write what ``build`` makes of the definition; whether there was anything to write."""
        objects = self._cache.of(self._kind)
        for _ in range(RACES_MAX):
            item = objects.get(Key("", name))
            if item is None:
                return False
            old = msgspec.json.decode(item.stored.json)
            new = build(old)
            if new == old:
                return False
            try:
                if _gone(new):
                    await self._commits.delete(self._kind, item)
                else:
                    await self._commits.update(self._kind, item, new)
            except Changed as lost:
                await self._commits.wait_for_winner(lost)
            except NotFound:
                return False
            else:
                return True
        return False


def _told(document: Document, verdict: naming.Verdict, now: float) -> Document:
    status = naming.with_conditions(document.get("status") or {}, [verdict], now)
    return {**document, "status": status}


def _released(document: Document, now: float) -> Document:
    """The definition without our finalizer."""
    done = _told(document, naming.COMPLETED, now)
    metadata = dict(done["metadata"])
    kept = [item for item in metadata.pop("finalizers", ()) if item != naming.FINALIZER]
    if kept:
        metadata["finalizers"] = kept
    return {**done, "metadata": metadata}


def _gone(document: Document) -> bool:
    metadata = document["metadata"]
    return "deletionTimestamp" in metadata and not metadata.get("finalizers")
