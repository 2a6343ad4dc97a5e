"""One run: trouble, then none, then a look at what is left, then an idle hour."""

import asyncio
import traceback
from collections.abc import Awaitable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import structlog
from structlog.typing import EventDict

from pilothouse.ops.simulation import loop, members, scene
from pilothouse.ops.simulation.faults import Script
from pilothouse.ops.simulation.invariants import identity, kept, rest
from pilothouse.ops.simulation.invariants.guards import Budgets, Leadership, Quotas
from pilothouse.ops.simulation.invariants.jobs import Jobs
from pilothouse.ops.simulation.invariants.replicas import Replicas
from pilothouse.ops.simulation.invariants.sets import Places
from pilothouse.ops.simulation.loop import VirtualClock, VirtualLoop
from pilothouse.ops.simulation.members import Member
from pilothouse.ops.simulation.network import Network
from pilothouse.ops.simulation.people.machines import machines
from pilothouse.ops.simulation.people.person import Person
from pilothouse.ops.simulation.provisioner import provisioner
from pilothouse.ops.simulation.scene import SERVER, Scene
from pilothouse.ops.simulation.server import POWER_CUT, Server
from pilothouse.ops.simulation.state import State
from pilothouse.ops.simulation.trace import Trace
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.storage import Change

REST_SECONDS = 1500.0
"""The longest backoff of a loop, the longest patience of a pod on a dead node, and then some."""
CALM_LOOKS = 3
LOOK_SECONDS = 1.0
WRITES_MAX = 20_000
TIME_WIDTH = 12
PROVISIONER = "provisioner"
STRAITS = "/quotas/"
"""Where more is wanted than there may be: somebody tries again after every quarter of an hour."""
HEARTBEATS = ("/registry/leases/", "/registry/events/", "/registry/nodes/")

BLOW_SECONDS, DEAF_SECONDS, LATE_SECONDS = 5.0, 2.0, 25.0
"""How long who was struck stays away, no call gets through, and no news."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """``broken`` is empty where all held; ``acted`` counts writes where the first act was."""

    seed: int
    broken: str
    digest: str
    writes: int
    acted: int
    lines: Sequence[str]


def simulate(seed: int) -> Outcome:
    """Run one seed to its end, or to the first thing that is broken."""
    return play(scene.drawn(seed))


def play(chosen: Scene) -> Outcome:
    """Run a scene to its end, or to the first thing that is broken."""
    made: list[_Run] = []

    async def main(running: VirtualLoop) -> Outcome:
        made.append(_Run(running, chosen))
        return await made[0].run()

    try:
        return loop.run(main, chosen.seed)
    except loop.Stuck as stuck:
        return made[0].outcome(str(stuck))


class _Run:
    """The cluster of one scene."""

    def __init__(self, running: VirtualLoop, chosen: Scene) -> None:
        self._scene = chosen
        self._clock = VirtualClock(running)
        self._trace = Trace(running)
        self._script = Script(chosen.seed, chosen.weather, self._clock, self._trace)
        self._script.on_send = self._sent
        self._network = Network(self._script)
        self._server = Server(self._network, self._clock, self._committed)
        self._state = State()
        self._deleters: dict[Key, str] = {}
        self._invariants = (
            Replicas(self._state, self._deleters),
            Jobs(self._state),
            Budgets(self._state, nodes_fail=chosen.nodes_fail),
            Quotas(lambda: self._clock.offset_seconds),
            Places(self._state),
        )
        self._leadership = Leadership(self._state)
        self._runtimes: members.Runtimes = {}
        self._broken: asyncio.Future[str] = running.create_future()
        structlog.configure(processors=[self._heard], cache_logger_on_first_use=False)
        self._is_idle = False
        self._members: dict[str, Member] = {}
        self._act = f"/{chosen.acts[0].__name__}"
        self._acted = 0

    async def run(self) -> Outcome:
        """To the end."""
        try:
            broken = await self._judge()
        except BaseExceptionGroup as ended:
            # A component, or the server, that no fault of ours ended.
            broken = self._broken.result() if self._broken.done() else _told(ended)
            self._trace.lines += traceback.format_exception(ended)
        return self.outcome(broken)

    def outcome(self, broken: str) -> Outcome:
        """What there is to say of it."""
        trace = self._trace
        trace.say(broken or "all is well")
        seed, writes = self._scene.seed, trace.writes
        return Outcome(seed, broken, trace.digest, writes, self._acted, trace.lines)

    async def _judge(self) -> str:
        """The server goes last, as in a shutdown: what the others still say finds it there."""
        async with asyncio.TaskGroup() as outer:
            server = outer.create_task(self._server.run())
            await self._server.up.wait()
            async with asyncio.TaskGroup() as group:
                broken = await self._live(group)
            server.cancel()
        return broken

    async def _live(self, group: asyncio.TaskGroup) -> str:
        ended = asyncio.Event()
        self._members = made = self._made()
        nodes = [member for member in made.values() if member.name.startswith("node")]
        killable = {
            name: member
            for name, member in made.items()
            if name != PROVISIONER and (self._scene.nodes_fail or member not in nodes)
        }
        tasks = [group.create_task(member.run()) for member in made.values()]
        tasks.append(group.create_task(self._watch_runtimes()))
        script = self._script.run(self._network, self._server, killable)
        tasks.append(group.create_task(script))
        course = group.create_task(self._course(nodes))
        course.add_done_callback(lambda _: ended.set())
        self._broken.add_done_callback(lambda _: ended.set())
        await ended.wait()
        for task in (*tasks, course):
            task.cancel()
        if self._broken.done():
            return self._broken.result()
        return "; ".join(course.result()) if not course.cancelled() else ""

    async def _course(self, nodes: Sequence[Member]) -> list[str]:
        until = self._clock.monotonic() + self._scene.trouble_seconds
        async with asyncio.TaskGroup() as work:
            for act in self._people(until, nodes):
                work.create_task(_awaited(act))
            await self._clock.sleep(until - self._clock.monotonic())
            if self._scene.blow is None:
                self._script.clear()
            self._trace.say("the trouble is over")
        left = await self._rest()
        if not left and self._scene.idle_seconds:
            self._is_idle = True
            await self._clock.sleep(self._scene.idle_seconds)
        return left

    async def _rest(self) -> list[str]:
        """What is unfinished after all that time, if it is not finished, and stays so, earlier."""
        until, left, calm = self._clock.monotonic() + REST_SECONDS, [""], 0
        while calm < CALM_LOOKS and self._clock.monotonic() < until:
            await self._clock.sleep(self._scene.calm_seconds)
            state = self._state
            left = [*rest.unfinished(state), *rest.slices(state), *kept.unkept(state)]
            calm = 0 if left else calm + 1
        return left

    def _made(self) -> dict[str, Member]:
        mains: dict[str, members.Main] = {
            "controllers": members.controllers,
            "scheduler": members.scheduler,
        }
        made = {}
        for name in self._scene.members:
            role, _, number = name.partition("-")
            main = mains.get(role) or members.node(int(number), self._runtimes)
            made[name] = Member(name, main, self._network, self._clock)
        made[PROVISIONER] = Member(PROVISIONER, provisioner, self._network, self._clock)
        return made

    def _people(self, until: float, nodes: Sequence[Member]) -> Iterator[Awaitable[None]]:
        for act in self._scene.acts:
            yield act(self._person(act.__name__, until))
        if self._scene.nodes_fail and self._scene.blow is None:
            yield machines(self._person("machines", until), nodes)

    def _person(self, name: str, until: float) -> Person:
        return Person(self._network, self._clock, name, self._scene.seed, until)

    async def _watch_runtimes(self) -> None:
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            for sentence in await identity.doubles(self._runtimes, self._state):
                self._break(sentence)

    def _committed(self, changes: Sequence[Change]) -> None:
        self._trace.commit(changes)
        if self._trace.writes > WRITES_MAX:
            self._break(f"{WRITES_MAX} writes: somebody turns in a circle")
        now = self._clock.monotonic()
        for change in changes:
            step = self._state.apply(change)
            key = change.key.decode()
            if self._is_idle and not key.startswith(HEARTBEATS) and STRAITS not in key:
                self._break(f"{key} was written while nothing happens")
            self._strike(key)
            if step is not None:
                for invariant in self._invariants:
                    for sentence in invariant.see(step, now):
                        self._break(sentence)

    def _strike(self, key: str) -> None:
        """Where the scene has a blow, and this is the commit it waited for."""
        if not f"{key}/".endswith(f"{self._act}/") and f"{self._act}/" not in key:
            return
        if key.startswith(HEARTBEATS):
            return
        self._acted += 1
        blow = self._scene.blow
        if blow is None or self._acted != blow.commit:
            return
        self._trace.say(f"{blow.how} {blow.victim} at {key}")
        if blow.victim == SERVER:
            self._server.kill()
        elif blow.how == "kill":
            self._members[blow.victim].kill(BLOW_SECONDS)
        elif blow.how == "part":
            self._script.part(blow.victim, LATE_SECONDS)
        else:
            self._script.part(blow.victim, DEAF_SECONDS)
            self._script.delay(blow.victim, LATE_SECONDS)

    def _sent(self, caller: str, method: str, request: Any) -> None:
        if method == "Delete" and request.resource.resource == "pods":
            self._deleters[Key(request.namespace, request.name)] = caller
        for sentence in self._leadership.sent(caller, request):
            self._break(sentence)

    def _heard(self, _: object, level: str, event: EventDict) -> NoReturn:
        """A component says something; an error is a mistake of ours."""
        self._trace.say(f"{level}: {event.pop('event')} {event.pop('exc_info', '')} {event}")
        if level in {"error", "critical"} and POWER_CUT not in self._trace.lines[-1]:
            self._break(self._trace.lines[-1][TIME_WIDTH:])
        raise structlog.DropEvent

    def _break(self, sentence: str) -> None:
        if not self._broken.done():
            self._broken.set_result(sentence)


async def _awaited(act: Awaitable[None]) -> None:
    await act


def _told(ended: BaseException) -> str:
    """The first thing that was raised."""
    while isinstance(ended, BaseExceptionGroup):
        ended = ended.exceptions[0]
    return f"a component ended: {ended!r}"
