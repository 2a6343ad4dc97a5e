"""The components of a simulated cluster, each a process that can be killed and comes back."""

import asyncio
import contextlib
import ipaddress
from collections.abc import Awaitable, Callable

from grpc import aio

from pilothouse.ops.simulation.invariants.guards import LEASES
from pilothouse.ops.simulation.loop import VirtualClock
from pilothouse.ops.simulation.network import Line, Network
from pilothouse.services.controllers import manager
from pilothouse.services.controllers.adapters.world import World
from pilothouse.services.controllers.node.pools import Range
from pilothouse.services.kubelet.adapters.hollow.gate import GatedObjects
from pilothouse.services.kubelet.adapters.hollow.runtime import MemoryRuntime
from pilothouse.services.kubelet.hollow import config as hollow
from pilothouse.services.kubelet.hollow.fleet import Fleet
from pilothouse.services.runtime.client.election import Election, Term
from pilothouse.services.runtime.client.events import Recorder
from pilothouse.services.runtime.client.gathered import GatheredObjects
from pilothouse.services.runtime.client.leases import ApiLeases
from pilothouse.services.runtime.client.objects import Objects
from pilothouse.services.runtime.control.leadership import Candidate
from pilothouse.services.scheduler.adapters.mesh import MeshCluster
from pilothouse.services.scheduler.adapters.watches import Watches
from pilothouse.services.scheduler.loop import Loop
from pilothouse.services.scheduler.scheduler import Scheduler

LOOK_SECONDS = 0.1
POD_CIDR = "10.244.0.0/16"
SCHEDULER = "default-scheduler"
SETTINGS = manager.Settings(
    certificate="a certificate", cluster_cidr=(Range(ipaddress.IPv4Network(POD_CIDR), 24),)
)

Main = Callable[[aio.Channel, VirtualClock, str], Awaitable[None]]


class Member:
    """A process with one connection. A killed one writes nothing more, whatever it still tries."""

    def __init__(self, name: str, main: Main, network: Network, clock: VirtualClock) -> None:
        self.name = name
        self.incarnation = 0
        self.is_down = False
        self._main = main
        self._network = network
        self._clock = clock
        self._line: Line | None = None
        self._running: asyncio.Task[None] | None = None
        self._down_seconds = 0.0

    async def run(self) -> None:
        """Live, again after each kill, until cancelled."""
        while True:
            self.incarnation += 1
            self._line = Line(self._network, self.name)
            async with asyncio.TaskGroup() as group:
                self._running = group.create_task(self._live(self._line))
            self._running = None
            self.is_down = True
            await self._clock.sleep(self._down_seconds)
            self.is_down = False

    def kill(self, down_seconds: float) -> None:
        """Between two instructions; it comes back after ``down_seconds``."""
        if self._running is not None and self._line is not None:
            self._down_seconds = down_seconds
            self._line.break_off()
            self._running.cancel()

    async def _live(self, line: Line) -> None:
        identity = f"{self.name}-{self.incarnation}"
        with contextlib.suppress(asyncio.CancelledError):
            await self._main(line.channel(), self._clock, identity)


async def controllers(channel: aio.Channel, clock: VirtualClock, identity: str) -> None:
    """All controllers, standing for their lease."""
    term = Term(clock, LEASES["controllers"])
    objects = GatheredObjects(channel, before_write=term.check, claim=term.claim)
    world = World(objects, clock)
    built = manager.build(world, SETTINGS, manager.chosen(["*"]))
    async with asyncio.TaskGroup() as group:
        group.create_task(objects.run())
        group.create_task(world.run())
        election = _election(group, channel, clock, Candidate(identity), term)
        await election.run(lambda: manager.lead(world, built.values()))


async def scheduler(channel: aio.Channel, clock: VirtualClock, identity: str) -> None:
    """The scheduler, standing for its lease."""
    term = Term(clock, LEASES["scheduler"])
    objects = Objects(channel, before_write=term.check, claim=term.claim)
    deciding = Scheduler()
    events = Recorder(objects, clock, SCHEDULER)
    loop = Loop(deciding, MeshCluster(objects, events, clock), clock)
    watches = Watches(objects, deciding, loop.wake, clock, SCHEDULER)

    async def lead() -> None:
        await watches.renew()
        await loop.run()

    async with asyncio.TaskGroup() as group:
        group.create_task(watches.run())
        group.create_task(events.run())
        await _election(group, channel, clock, Candidate(identity), term).run(lead)


def _election(
    group: asyncio.TaskGroup,
    channel: aio.Channel,
    clock: VirtualClock,
    candidate: Candidate,
    term: Term,
) -> Election:
    """For the lease of the component that ``candidate`` is named after."""
    unfenced, lease = Objects(channel), LEASES[candidate.identity.partition("-")[0]]
    recorder = Recorder(unfenced, clock, lease.name)
    group.create_task(recorder.run())
    leases = ApiLeases(unfenced, lease, candidate.identity, recorder)
    return Election(leases, candidate, clock, term)


Runtimes = dict[str, MemoryRuntime]


def node(number: int, runtimes: Runtimes) -> Main:
    """A machine with a hollow kubelet; what ran on it is gone when it is.

    While it lives, ``runtimes`` has what runs there.
    """
    flags = ["--nodes=1", f"--first={number}", "--name-prefix=node-", "--cpu=4", "--max-pods=20"]
    config = hollow.parse(flags)

    async def main(channel: aio.Channel, clock: VirtualClock, _: str) -> None:
        fleet, name = Fleet(config, GatedObjects(channel), clock), f"node-{number}"
        async with asyncio.TaskGroup() as group:
            group.create_task(fleet.run())
            try:
                while name not in fleet.runtimes:
                    await clock.sleep(LOOK_SECONDS)
                runtimes[name] = fleet.runtimes[name]
                await asyncio.Event().wait()
            finally:
                runtimes.pop(name, None)

    return main
