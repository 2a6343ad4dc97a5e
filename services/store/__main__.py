"""``pilothouse store``: the store as a service of its own."""

import asyncio
import sys

from pilothouse.services.runtime import process
from pilothouse.services.runtime.process import Ready
from pilothouse.services.runtime.rpc.server import serve
from pilothouse.services.store import config
from pilothouse.services.store.embedded import open_store
from pilothouse.services.store.rpc.services import services_of


async def run(settings: config.Config, ready: Ready) -> None:
    """Serve the database until cancelled, then drain."""
    store = await open_store(
        settings.database, compact_every_seconds=settings.compact_every_seconds
    )
    try:
        async with asyncio.TaskGroup() as group:
            services = services_of(store.keyspace, group, client_urls=settings.client_urls)
            async with serve(services, settings.listens):
                ready.ready()
                await asyncio.get_running_loop().create_future()
    finally:
        await store.close()


def main(argv: list[str]) -> int:
    """Run until SIGTERM; the exit code."""
    settings = config.parse(argv)
    return process.run("store", lambda ready: run(settings, ready), log_level=settings.log_level)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
