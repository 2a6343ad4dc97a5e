"""Keeps what Services hold written down: addresses that somebody deletes, numbers that leak.

An ``IPAddress`` of a living Service is written anew as soon as it is gone. What no Service holds,
left by a server that died between two writes, is looked for now and then.
"""

import asyncio
import contextlib

from pilothouse.services.apiserver.allocation.claims import names_service_of
from pilothouse.services.apiserver.registry import Registry
from pilothouse.services.apiserver.requests import Stored
from pilothouse.services.machinery.errors import ApiError
from pilothouse.services.machinery.storage import Unavailable
from pilothouse.services.runtime import telemetry

INTERVAL_SECONDS = 180.0


class Repairs:
    """One loop."""

    def __init__(self, registry: Registry) -> None:
        self._claims = registry.parts.claims
        self._cache = registry.parts.cache
        self._lost = asyncio.Event()
        addresses = registry.parts.catalog.lookup("networking.k8s.io", "v1", "ipaddresses")
        self._cache.of(addresses).subscribe(self._note)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(INTERVAL_SECONDS):
                    await self._lost.wait()
            self._lost.clear()
            try:
                await self._claims.repair(self._cache.objects("", "services"))
            except (ApiError, Unavailable) as error:
                telemetry.logger().warning("addresses are not repaired", error=str(error))

    def _note(self, old: Stored | None, new: Stored | None) -> None:
        if new is not None or old is None:
            return
        holder = names_service_of(old)
        service = self._cache.find("", "services", holder) if holder is not None else None
        if service is not None and self._claims.is_held_by(service, old.key.name):
            self._lost.set()
