"""Keeps the APIServices of what this server offers as they should be.

Nothing is polled: a change of a definition or of an APIService wakes it.
"""

import asyncio
from typing import Any

import msgspec

from pilothouse.services.apiserver.bootstrap import SERVER
from pilothouse.services.apiserver.offered import GROUP, PLURAL, VERSION, offered, plan
from pilothouse.services.apiserver.registry import Registry
from pilothouse.services.apiserver.requests import DeleteOptions, Stored, Target, WriteOptions
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.errors import AlreadyExists, ApiError, Conflict, NotFound
from pilothouse.services.runtime import telemetry

Document = dict[str, Any]

DEFINITIONS = ("apiextensions.k8s.io", "customresourcedefinitions")
# What lost a race, or met a store that did not answer, is tried anew after this.
RETRY_SECONDS = 1.0


class Offering:
    """One loop over one plan."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._parts = registry.parts
        self._changed = asyncio.Event()
        self._log = telemetry.logger(part="offering")
        for group, plural in (
            (GROUP, PLURAL),
            ("apiextensions.k8s.io", "customresourcedefinitions"),
        ):
            kind = self._parts.catalog.lookup(group, "v1", plural)
            self._parts.cache.of(kind).subscribe(self._note)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._changed.clear()
            try:
                await self._bring_up()
            except (AlreadyExists, Conflict, NotFound):
                # Another server was faster: its change wakes this loop again, or has done so.
                continue
            except ApiError as error:
                self._log.warning("not kept up", error=error.message)
                await self._parts.clock.sleep(RETRY_SECONDS)
                continue
            await self._changed.wait()

    async def _bring_up(self) -> None:
        found = [
            msgspec.json.decode(each.json) for each in self._parts.cache.objects(GROUP, PLURAL)
        ]
        present: dict[str, Document] = {each["metadata"]["name"]: each for each in found}
        stamp = timestamps.render(self._parts.clock.now())
        todo = plan(offered(self._parts.catalog), present, stamp)
        target = Target(GROUP, VERSION, PLURAL)
        for document in todo.create:
            await self._registry.create(SERVER, target, document, _OPTIONS)
        for name in todo.delete:
            await self._registry.delete(
                SERVER, Target(GROUP, VERSION, PLURAL, "", name), DeleteOptions()
            )
        for document in todo.status:
            named = Target(GROUP, VERSION, PLURAL, "", document["metadata"]["name"], "status")
            await self._registry.update(SERVER, named, document, _OPTIONS)

    def _note(self, _old: Stored | None, _new: Stored | None) -> None:
        self._changed.set()


_OPTIONS = WriteOptions(field_manager="kube-apiserver")
