"""``pilothouse controllers``: every control loop of the cluster, in one process."""

import asyncio
import sys
from functools import partial

from pilothouse.services.controllers import manager
from pilothouse.services.controllers.adapters.world import World
from pilothouse.services.controllers.config import COMPONENT, Config, parse
from pilothouse.services.controllers.rpc import controllers as rpc
from pilothouse.services.runtime import process
from pilothouse.services.runtime.client.election import Term, writer
from pilothouse.services.runtime.client.gathered import GatheredObjects
from pilothouse.services.runtime.client.objects import Objects
from pilothouse.services.runtime.clock import SystemClock
from pilothouse.services.runtime.door import serving
from pilothouse.services.runtime.rpc.channel import open_channel
from pilothouse.services.runtime.rpc.server import Listen, serve


async def run(config: Config, ready: process.Ready) -> None:
    """Serve until cancelled."""
    async with open_channel(config.server, config.identity) as channel:
        clock, contest = SystemClock(), config.contest
        term = Term(clock, contest.lease if contest else None)
        fenced = writer(GatheredObjects, channel, term, contest)
        free = Objects(channel)
        world = World(fenced, clock)
        controllers = manager.build(world, config.settings, config.controllers)

        lead = partial(manager.lead, world, controllers.values())
        sources = [
            manager.measured(controllers),
            serving.election(COMPONENT, term),
            serving.calls(config.server, (fenced, free)),
        ]
        listen = Listen(str(config.socket))
        async with (
            serve([rpc.service(controllers, term if contest else None)], [listen]),
            serving.serve_https(config.secured, free, clock, sources, pages=config.pages),
            asyncio.TaskGroup() as group,
        ):
            group.create_task(fenced.run())
            group.create_task(world.run())
            if contest:
                group.create_task(contest.run(free, clock, term, lead))
            else:
                group.create_task(lead())
            ready.ready()


def main(argv: list[str]) -> int:
    """Run until a signal; the exit code."""
    config = parse(argv)
    return process.run("controllers", partial(run, config), log_level=config.log_level)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
