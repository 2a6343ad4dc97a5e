"""``pilothouse scheduler``: gives pods their nodes."""

import asyncio
import sys
from functools import partial

from pilothouse.services.runtime import process
from pilothouse.services.runtime.client.election import Term, writer
from pilothouse.services.runtime.client.events import Recorder
from pilothouse.services.runtime.client.objects import Objects
from pilothouse.services.runtime.clock import SystemClock
from pilothouse.services.runtime.door.serving import calls, election, serve_https
from pilothouse.services.runtime.rpc.channel import open_channel
from pilothouse.services.runtime.rpc.server import Listen, serve
from pilothouse.services.scheduler.adapters import measures
from pilothouse.services.scheduler.adapters.mesh import MeshCluster
from pilothouse.services.scheduler.adapters.watches import Watches
from pilothouse.services.scheduler.config import COMPONENT, EVENTS_QUEUED_MAX, Config, parse
from pilothouse.services.scheduler.loop import Loop
from pilothouse.services.scheduler.rpc import scheduling
from pilothouse.services.scheduler.scheduler import Scheduler


async def run(config: Config, ready: process.Ready) -> None:
    """Serve until cancelled."""
    clock, scheduler, contest = SystemClock(), Scheduler(), config.contest
    term = Term(clock, contest.lease if contest else None)
    name = config.scheduler_name
    async with open_channel(config.server, config.identity) as channel:
        free = Objects(channel)
        objects = writer(Objects, channel, term, contest)
        events = Recorder(objects, clock, name, queue_max=EVENTS_QUEUED_MAX)
        loop = Loop(scheduler, MeshCluster(objects, events, clock), clock)
        watches = Watches(objects, scheduler, loop.wake, clock, name)
        sources = [election(COMPONENT, term), calls(config.server, (objects, free))]
        sources += [measures.source(scheduler, loop.attempts, name)]

        async def lead() -> None:
            await watches.renew()
            await loop.run()

        async with (
            serve([scheduling.service(scheduler, watches)], [Listen(str(config.socket))]),
            serve_https(config.secured, free, clock, sources, pages=config.pages),
            asyncio.TaskGroup() as group,
        ):
            for part in (watches, events):
                group.create_task(part.run())
            ready.ready()
            await (contest.run(free, clock, term, lead) if contest else lead())


def main(argv: list[str]) -> int:
    """Run until a signal; the exit code."""
    config = parse(argv)
    return process.run("scheduler", partial(run, config), log_level=config.log_level)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
