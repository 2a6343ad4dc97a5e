"""Objects that pods name, each watched as long as a pod uses it.

::

    hold(holder, …) ─▶ one watch an object ─▶ changed() of all who hold it
    release(holder) ─▶ the last one gone: no watch

An object that says it is immutable is read once and watched no more.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec

from pilothouse.services.machinery.errors import NotFound, ServiceUnavailable
from pilothouse.services.machinery.objects import Key, Metadata, View
from pilothouse.services.machinery.resources import Resource
from pilothouse.services.runtime.client.cache import Cache
from pilothouse.services.runtime.client.objects import Objects, Selection
from pilothouse.services.runtime.clock import Clock

SYNC_SECONDS_MAX = 5.0

Changed = Callable[[], None]


class Condition(View, frozen=True, kw_only=True):
    type: str = ""
    reason: str = ""
    message: str = ""


class Spec(View, frozen=True, kw_only=True):
    """Of a ClusterTrustBundle, or of a claim."""

    trust_bundle: str = ""
    volume_name: str = ""


class Status(View, frozen=True, kw_only=True):
    """Of a PodCertificateRequest, or of a claim."""

    phase: str = ""
    conditions: tuple[Condition, ...] = ()
    certificate_chain: str = ""
    begin_refresh_at: str = ""
    not_after: str = ""


class Referenced(View, frozen=True, kw_only=True):
    """What volumes show of a ConfigMap, Secret, trust bundle or certificate request."""

    metadata: Metadata = Metadata()
    data: Mapping[str, str] | None = None
    binary_data: Mapping[str, str] | None = None
    immutable: bool | None = None
    spec: Spec | None = None
    status: Status | None = None


@dataclass(frozen=True, slots=True)
class Reference:
    """Objects of one kind: one of them, or those that a selection finds."""

    resource: Resource
    selection: Selection


def _nothing() -> None:
    """Who has not read yet need not be told."""


@dataclass(slots=True)
class _Watched:
    cache: Cache[Referenced]
    task: asyncio.Task[None] | None = None
    holders: dict[str, Changed] = field(default_factory=dict)

    def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()
            self.task = None

    def told(self, old: Referenced | None, new: Referenced | None) -> None:
        del old
        if new is not None and new.immutable:
            # Not from inside the watch itself: it is in the middle of telling.
            asyncio.get_running_loop().call_soon(self.stop)
        for changed in list(self.holders.values()):
            changed()


class References:
    """All watches of one node."""

    def __init__(self, objects: Objects, clock: Clock) -> None:
        self._objects = objects
        self._clock = clock
        self._watched: dict[Reference, _Watched] = {}
        self._held: dict[str, frozenset[Reference]] = {}
        self._group: asyncio.TaskGroup | None = None
        self._running = asyncio.Event()

    def __len__(self) -> int:
        return sum(item.task is not None for item in self._watched.values())

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            self._running.set()
            await asyncio.get_running_loop().create_future()

    async def read(self, reference: Reference, holder: str, changed: Changed) -> list[Referenced]:
        """What there is now; ``changed`` is called when that is no longer so.

        ServiceUnavailable when the API server does not say in time.
        """
        await self._running.wait()
        watched = self._watched.get(reference)
        if watched is None:
            watched = self._watch(reference)
        watched.holders.setdefault(holder, _nothing)
        self._held[holder] = self._held.get(holder, frozenset()) | {reference}
        try:
            async with asyncio.timeout(SYNC_SECONDS_MAX):
                await watched.cache.wait_synced()
        except TimeoutError:
            kind = reference.resource.kind.lower()
            text = f"failed to sync {kind} cache: timed out waiting for the condition"
            raise ServiceUnavailable(text) from None
        finally:
            watched.holders[holder] = changed
        return watched.cache.values()

    def _watch(self, reference: Reference) -> _Watched:
        cache = Cache(
            self._objects, reference.resource, Referenced, reference.selection, clock=self._clock
        )
        watched = _Watched(cache)
        cache.on_change(watched.told)
        if self._group is not None:
            watched.task = self._group.create_task(cache.run())
        self._watched[reference] = watched
        return watched

    async def fetch(self, resource: Resource, key: Key) -> list[Referenced]:
        """The object as it is now, without watching it; empty when there is none."""
        try:
            text = await self._objects.get(resource, key)
        except NotFound:
            return []
        return [msgspec.json.decode(text, type=Referenced)]

    def drop(self, prefix: str) -> None:
        """Nothing of what those hold whose names begin so."""
        for holder in [holder for holder in self._held if holder.startswith(prefix)]:
            self.keep(holder, frozenset())

    def keep(self, holder: str, references: frozenset[Reference]) -> None:
        """Of what ``holder`` holds, these only."""
        before = self._held.pop(holder, frozenset())
        kept = before & references
        if kept:
            self._held[holder] = kept
        for reference in before - kept:
            watched = self._watched[reference]
            watched.holders.pop(holder, None)
            if not watched.holders:
                watched.stop()
                del self._watched[reference]
