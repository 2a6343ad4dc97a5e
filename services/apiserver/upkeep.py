"""Keeps the shipped FlowSchemas and levels as they ship, and says which schemas dangle.

Nothing is polled: a change of either kind wakes it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from pilothouse.services.apiserver.bootstrap import SERVER
from pilothouse.services.apiserver.flow.control import Control
from pilothouse.services.apiserver.flow.schemas import (
    GROUP,
    LEVELS,
    SCHEMAS,
    VERSION,
    read_level,
    read_schema,
)
from pilothouse.services.apiserver.flow.standard import level_documents, schema_documents
from pilothouse.services.apiserver.flow.upkeep import plan_conditions, plan_specs
from pilothouse.services.apiserver.registry import Registry
from pilothouse.services.apiserver.requests import Stored, Target, WriteOptions
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.errors import AlreadyExists, ApiError, Conflict, NotFound
from pilothouse.services.runtime import telemetry

Document = dict[str, Any]
# What lost a race, or met a store that did not answer, is tried anew after this.
RETRY_SECONDS = 1.0


class FlowUpkeep:
    """One loop, and what :class:`Control` is to go by."""

    def __init__(self, registry: Registry, control: Control) -> None:
        self._registry = registry
        self._control = control
        self._cache = registry.parts.cache
        self._clock = registry.parts.clock
        self._changed = asyncio.Event()
        self._stale = True
        self._log = telemetry.logger(part="flow")
        for plural in (SCHEMAS, LEVELS):
            kind = registry.parts.catalog.lookup(GROUP, VERSION, plural)
            self._cache.of(kind).subscribe(self._note)

    def refresh(self) -> None:
        """Have the control go by what is there now."""
        if not self._stale:
            return
        self._stale = False
        self._control.configure(self._read(SCHEMAS, read_schema), self._read(LEVELS, read_level))

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._changed.clear()
            if await self.bring_up():
                await self._changed.wait()
            else:
                await self._clock.sleep(RETRY_SECONDS)

    async def bring_up(self) -> bool:
        """One round; whether every write succeeded."""
        done = True
        for plural, shipped in ((LEVELS, level_documents()), (SCHEMAS, schema_documents())):
            present = {each["metadata"]["name"]: each for each in self._documents(plural)}
            plan = plan_specs(present, shipped)
            for document in plan.create:
                done &= await self._try(self._create(plural, document))
            for document in plan.update:
                done &= await self._try(self._update(plural, document, ""))
        levels = [each["metadata"]["name"] for each in self._documents(LEVELS)]
        stamp = timestamps.render(self._clock.now())
        for document in plan_conditions(self._documents(SCHEMAS), levels, stamp).status:
            done &= await self._try(self._update(SCHEMAS, document, "status"))
        return done

    async def _try(self, write: Awaitable[object]) -> bool:
        try:
            await write
        except (AlreadyExists, Conflict, NotFound):
            # Another server was faster: its change wakes this loop again.
            return True
        except ApiError as error:
            self._log.warning("not kept up", error=error.message)
            return False
        return True

    async def _create(self, plural: str, document: Document) -> None:
        await self._registry.create(SERVER, Target(GROUP, VERSION, plural), document, _OPTIONS)

    async def _update(self, plural: str, document: Document, part: str) -> None:
        name = document["metadata"]["name"]
        target = Target(GROUP, VERSION, plural, "", name, part)
        await self._registry.update(SERVER, target, document, _OPTIONS)

    def _note(self, _old: Stored | None, _new: Stored | None) -> None:
        self._stale = True
        self._changed.set()

    def _documents(self, plural: str) -> list[Document]:
        return [msgspec.json.decode(each.json) for each in self._cache.objects(GROUP, plural)]

    def _read(self, plural: str, read: Callable[[bytes], Any]) -> list[Any]:
        found = []
        for stored in self._cache.objects(GROUP, plural):
            try:
                found.append(read(stored.json))
            except msgspec.MsgspecError as error:
                self._log.error("unreadable", name=stored.key.name, error=str(error))
        return found


_OPTIONS = WriteOptions(field_manager="api-priority-and-fairness-config-consumer-v1")
