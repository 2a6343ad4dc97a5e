"""The API server of a simulation: the real request path over the real store; it can be killed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from typing_extensions import override

from pilothouse.ops.simulation.network import Network
from pilothouse.services.apiserver.allocation.allocator import Allocator
from pilothouse.services.apiserver.bootstrap import bootstrap
from pilothouse.services.apiserver.cache.cache import Cache
from pilothouse.services.apiserver.chain.authorization import Authorization
from pilothouse.services.apiserver.chain.bindings import LiveBindings
from pilothouse.services.apiserver.kinds.catalog import builtin_catalog
from pilothouse.services.apiserver.kinds.schemas import published_schemas
from pilothouse.services.apiserver.objects.parts import Parts
from pilothouse.services.apiserver.registry import Registry
from pilothouse.services.apiserver.rpc.objects import service
from pilothouse.services.machinery.errors import ServiceUnavailable
from pilothouse.services.machinery.storage import Change, Unavailable
from pilothouse.services.runtime.clock import Clock
from pilothouse.services.store.adapters.inline import InlineConnection
from pilothouse.services.store.adapters.sqlite import SqliteJournal
from pilothouse.services.store.embedded import EmbeddedStore
from pilothouse.services.store.keyspace import Keyspace
from pilothouse.services.store.ports import StoredLease

DOWN_SECONDS = 1.0
COMMIT_SECONDS = 0.001
"""What a disk takes to say that it is safe."""
PORT = 6443
POWER_CUT = "the machine went down"

Seen = Callable[[Sequence[Change]], None]


class Disk(SqliteJournal):
    """What survives a server. ``is_cut`` loses all that was not safe yet."""

    def __init__(self, seen: Seen) -> None:
        connection = InlineConnection()
        super().__init__(connection, connection)
        self.is_cut = False
        self._seen = seen

    @override
    async def append(
        self, changes: Sequence[Change], leases: Mapping[int, StoredLease | None]
    ) -> None:
        await asyncio.sleep(COMMIT_SECONDS)
        if self.is_cut:
            raise Unavailable(POWER_CUT)
        await super().append(changes, leases)
        self._seen(changes)

    @override
    async def close(self) -> None:
        """It goes with the process."""


class NoTokens:
    """Nothing in a simulation signs anything."""

    async def issue(self, account: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
        raise ServiceUnavailable("a simulation issues no tokens")


class Server:
    """One machine with the API server and its store; :meth:`kill` is a power cut."""

    def __init__(self, network: Network, clock: Clock, seen: Seen) -> None:
        self._network = network
        self._clock = clock
        self._disk = Disk(seen)
        self._dying = asyncio.Event()
        self.up = asyncio.Event()
        self.starts = 0

    async def run(self) -> None:
        """Serve, again after each kill, until cancelled."""
        while True:
            self._dying.clear()
            self._disk.is_cut = False
            async with self._store() as store:
                await self._serve(store)
            await self._clock.sleep(DOWN_SECONDS)

    def kill(self) -> None:
        """What is not on the disk is lost; the machine comes back."""
        if self.up.is_set():
            self._disk.is_cut = True
            self._dying.set()

    @contextlib.asynccontextmanager
    async def _store(self) -> AsyncIterator[EmbeddedStore]:
        keyspace = await Keyspace.open(self._disk, self._clock)
        try:
            yield EmbeddedStore(keyspace, self._clock)
        finally:
            await keyspace.close()

    async def _serve(self, store: EmbeddedStore) -> None:
        catalog = builtin_catalog()
        cache = Cache(store, catalog, self._clock)
        registry = Registry(
            Parts(
                storage=store,
                cache=cache,
                catalog=catalog,
                schemas=published_schemas(),
                authorizer=Authorization(cache, LiveBindings(cache)),
                tokens=NoTokens(),
                clock=self._clock,
                allocator=Allocator(),
            )
        )
        await cache.load()
        async with asyncio.TaskGroup() as group:
            following = group.create_task(cache.run())
            async with self._network.serving(service(registry, catalog)):
                await bootstrap(registry, (), PORT, ())
                self.starts += 1
                self.up.set()
                try:
                    await self._dying.wait()
                finally:
                    self.up.clear()
            following.cancel()
