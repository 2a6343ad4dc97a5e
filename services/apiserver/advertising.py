"""The endpoints of the Service ``kubernetes``: every API server that is alive, and no other.

Each server keeps a key of its own in the store that goes by itself when it is not renewed, as in
Kubernetes; whoever looks writes down whom it finds.
"""

import contextlib
from collections.abc import Sequence

from pilothouse.services.apiserver.bootstrap import publish
from pilothouse.services.apiserver.registry import Registry
from pilothouse.services.machinery.errors import ApiError
from pilothouse.services.machinery.storage import Changed, Unavailable
from pilothouse.services.runtime import telemetry

PREFIX = b"/registry/masterleases/"
LEASE_SECONDS = 15
RENEW_SECONDS = 10.0
_TRIES = 3


class Advertising:
    """This server's place among the endpoints."""

    def __init__(self, registry: Registry, address: str, port: int) -> None:
        self._registry = registry
        self._storage = registry.parts.storage
        self._address = address
        self._port = port
        self._key = PREFIX + address.encode()
        self._revision = 0

    async def renew(self) -> Sequence[str]:
        """Say that this server lives; the addresses of all that do.

        Raises:
            Unavailable: the store does not answer.
        """
        await self._renew()
        return await self.living()

    async def living(self) -> Sequence[str]:
        """The addresses of all servers that live.

        Raises:
            Unavailable: the store does not answer.
        """
        entries, _ = await self._storage.load(PREFIX)
        living = {entry.key[len(PREFIX) :].decode() for entry in entries} | {self._address}
        return sorted(living)

    async def _renew(self) -> None:
        ttl_seconds = LEASE_SECONDS
        if self._storage.newest() is not None:
            if self._revision:
                return
            # The store is this process's own, and goes with it: who was there before has gone.
            await self._forget_all()
            ttl_seconds = 0
        for _ in range(_TRIES):
            try:
                self._revision = await self._storage.put(
                    self._key, b"", expect=self._revision, ttl_seconds=ttl_seconds
                )
                break
            except Changed as other:
                self._revision = 0 if other.current is None else other.current.mod_revision

    async def run(self) -> None:
        """Renew until cancelled."""
        clock = self._registry.parts.clock
        while True:
            try:
                await self._renew()
                await publish(self._registry, self.living, self._port)
            except (ApiError, Unavailable) as error:
                telemetry.logger().warning("endpoints are not renewed", error=str(error))
            await clock.sleep(RENEW_SECONDS)

    async def withdraw(self) -> None:
        """This server ends: the others need not wait until its key has gone."""
        if not self._revision or self._storage.newest() is not None:
            return
        try:
            for _ in range(_TRIES):
                try:
                    await self._storage.delete(self._key, expect=self._revision)
                    break
                except Changed as other:
                    # A renewal whose answer was lost.
                    if other.current is None:
                        break
                    self._revision = other.current.mod_revision
            await publish(self._registry, self._others, self._port)
        except (ApiError, Unavailable) as error:
            telemetry.logger().warning("endpoints are not withdrawn", error=str(error))

    async def _forget_all(self) -> None:
        entries, _ = await self._storage.load(PREFIX)
        for entry in entries:
            with contextlib.suppress(Changed):
                await self._storage.delete(entry.key, expect=entry.mod_revision)

    async def _others(self) -> Sequence[str]:
        entries, _ = await self._storage.load(PREFIX)
        return sorted(entry.key[len(PREFIX) :].decode() for entry in entries)
