"""``pilothouse scheduler``: gives pods their nodes."""

import asyncio
import sys

from pilothouse.services.runtime import process
from pilothouse.services.runtime.client.election import Term
from pilothouse.services.runtime.client.events import Recorder
from pilothouse.services.runtime.client.objects import Objects
from pilothouse.services.runtime.clock import SystemClock
from pilothouse.services.runtime.rpc.channel import open_channel
from pilothouse.services.runtime.rpc.server import Listen, serve
from pilothouse.services.scheduler.adapters.mesh import MeshCluster
from pilothouse.services.scheduler.adapters.watches import Watches
from pilothouse.services.scheduler.config import Config, parse
from pilothouse.services.scheduler.loop import Loop
from pilothouse.services.scheduler.rpc import scheduling
from pilothouse.services.scheduler.scheduler import Scheduler

# A large Deployment is placed faster than its events are written.
EVENTS_QUEUED_MAX = 20_000


async def run(config: Config, ready: process.Ready) -> None:
    """Serve until cancelled."""
    clock, scheduler, contest = SystemClock(), Scheduler(), config.contest
    term = Term(clock)
    async with open_channel(config.server, config.identity) as channel:
        objects = Objects(channel, before_write=term.check if contest else None)
        events = Recorder(objects, clock, config.scheduler_name, queue_max=EVENTS_QUEUED_MAX)
        loop = Loop(scheduler, MeshCluster(objects, events, clock), clock)
        watches = Watches(objects, scheduler, loop.wake, clock, config.scheduler_name)
        listen = Listen(str(config.socket))
        async with (
            serve([scheduling.service(scheduler, watches)], [listen]),
            asyncio.TaskGroup() as group,
        ):
            group.create_task(watches.run())
            group.create_task(events.run())

            async def lead() -> None:
                await watches.wait_synced()
                await loop.run()

            ready.ready()
            if contest:
                await contest.run(Objects(channel), clock, term, lead)
            else:
                await lead()


def main(argv: list[str]) -> int:
    """Run until a signal; the exit code."""
    config = parse(argv)
    return process.run("scheduler", lambda ready: run(config, ready))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
