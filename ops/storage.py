"""The API server's storage inside its own process; others reach it as etcd v3 on a socket."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from pilothouse.services.apiserver.config import Config
from pilothouse.services.apiserver.ports import Store
from pilothouse.services.runtime.rpc.server import Listen, serve
from pilothouse.services.store.config import DATABASE
from pilothouse.services.store.embedded import open_store
from pilothouse.services.store.rpc.services import services_of

SOCKET = "store.sock"


@contextlib.asynccontextmanager
async def open_storage(config: Config) -> AsyncIterator[Store]:
    """Open the store in the data directory and serve it on ``store.sock`` in the run directory."""
    config.data_dir.mkdir(parents=True, exist_ok=True)
    store = await open_store(str(config.data_dir / DATABASE))
    try:
        async with asyncio.TaskGroup() as group:
            listen = Listen(str(config.run_dir / SOCKET))
            async with serve(services_of(store.keyspace, group), [listen]):
                yield store
    finally:
        await store.close()
