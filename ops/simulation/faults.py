"""What goes wrong in a run, and when: all of it chosen by the seed."""

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import grpc

from pilothouse.ops.simulation.loop import VirtualClock
from pilothouse.ops.simulation.members import Member
from pilothouse.ops.simulation.network import READS, Broken, Network
from pilothouse.ops.simulation.server import Server
from pilothouse.ops.simulation.trace import Trace

USER = "user"
DOWN_SECONDS_MAX = 20.0
STALE_SECONDS_MAX = 30.0
STALL_SECONDS_MAX = 8.0
PARTED_SECONDS_MAX = 30.0
JUMP_SECONDS_MAX = 90.0
WRITES_AHEAD_MAX = 12
DECLARED = frozenset({"deployments", "statefulsets", "daemonsets", "jobs", "namespaces"})
"""What people write: news of it may be ahead of all other."""
CONFLICTS = frozenset({"Update", "Patch"})


@dataclass(frozen=True, slots=True)
class Weather:
    """How rough a run is; probabilities are of one call, ``between_seconds`` of a larger fault."""

    delay_seconds: float
    stalls: float
    lost_requests: float
    lost_answers: float
    conflicts: float
    between_seconds: float

    @classmethod
    def of(cls, source: random.Random) -> "Weather":
        """Calm seeds find other bugs than rough ones do."""
        rough = source.choice((0.0, 0.2, 1.0, 1.0))
        return cls(
            delay_seconds=source.choice((0.0005, 0.005, 0.05)),
            stalls=rough * source.uniform(0.0, 0.004),
            lost_requests=rough * source.uniform(0.0, 0.03),
            lost_answers=rough * source.uniform(0.0, 0.03),
            conflicts=rough * source.uniform(0.0, 0.08),
            between_seconds=source.uniform(4.0, 20.0) / max(rough, 0.01),
        )


CLEAR = Weather(0.001, 0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(slots=True)
class _Doom:
    """A member is killed at its ``writes``-th write from now, before it leaves or after it."""

    writes: int
    is_after: bool


class Script:
    """The network's faults, and those of machines, until :meth:`clear`."""

    def __init__(self, seed: int, weather: Weather, clock: VirtualClock, trace: Trace) -> None:
        self._source = random.Random(f"{seed}/faults")  # noqa: S311 - no secret
        self.weather = weather
        self.is_over = False
        self.on_send: Callable[[str, str, Any], None] = _nobody
        self._clock = clock
        self._trace = trace
        self._members: Mapping[str, Member] = {}
        self._doomed: dict[str, _Doom] = {}
        self._stale_until: dict[tuple[str, str], float] = {}
        self._parted_until: dict[str, float] = {}
        self._late_until: dict[str, float] = {}

    async def before(self, caller: str, method: str, request: Any) -> None:
        """The request is on its way."""
        if method not in READS:
            self._trace.call(caller, method, request)
            self.on_send(caller, method, request)
        await self._travel()
        self._check_road(caller)
        if method in READS:
            return
        if caller == USER:
            return
        await self._doom(caller, is_after=False)
        if self._chance(self.weather.lost_requests):
            raise Broken(grpc.StatusCode.UNAVAILABLE, "the request was lost")
        if method in CONFLICTS and self._chance(self.weather.conflicts):
            raise Broken(grpc.StatusCode.ABORTED, "somebody else was faster")

    async def after(self, caller: str, method: str, request: Any) -> None:
        """The answer is on its way back."""
        if method not in READS and caller != USER:
            await self._doom(caller, is_after=True)
            if self._chance(self.weather.lost_answers):
                raise Broken(grpc.StatusCode.UNAVAILABLE, "the answer was lost")
        await self._travel()
        self._check_road(caller)

    async def deliver(self, caller: str, request: Any) -> None:
        """A batch of a watch is on its way."""
        await self._travel()
        plural = request.resource.resource
        until = max(
            self._stale_until.get((caller, plural), 0.0),
            self._parted_until.get(caller, 0.0),
            self._late_until.get(caller, 0.0) if plural not in DECLARED else 0.0,
        )
        if until > self._clock.monotonic():
            await self._clock.sleep(until - self._clock.monotonic())

    def clear(self) -> None:
        """From now on nothing goes wrong."""
        self.weather = CLEAR
        self.is_over = True
        self._doomed.clear()
        self._stale_until.clear()
        self._parted_until.clear()

    def part(self, name: str, seconds: float) -> None:
        """No way leads from this member to the server, or back, for a while."""
        self._parted_until[name] = self._clock.monotonic() + seconds

    def delay(self, name: str, seconds: float) -> None:
        """News of what components write comes late to this member, for a while."""
        self._late_until[name] = self._clock.monotonic() + seconds

    async def run(self, network: Network, server: Server, members: Mapping[str, Member]) -> None:
        """Larger faults, one after another, until :meth:`clear`."""
        self._members = members
        while not self.is_over and self.weather.between_seconds:
            mean = self.weather.between_seconds
            await self._clock.sleep(self._source.expovariate(1.0) * mean)
            if not self.is_over:
                self._strike(network, server)

    def _strike(self, network: Network, server: Server) -> None:
        draw = self._source
        name = draw.choice(sorted(name for name in self._members))
        plural = draw.choice(("pods", "pods", "replicasets", "deployments", "jobs", "nodes"))
        kind = draw.choice(("cut", "stale", "stale", "doom", "doom", "server", "jump", "part"))
        self._trace.say(f"fault {kind} {name} {plural}")
        now = self._clock.monotonic()
        match kind:
            case "cut":
                everything = draw.choice((True, False, False))
                network.cut(name, lambda it: everything or it.resource.resource == plural)
            case "stale":
                until = now + draw.uniform(1.0, STALE_SECONDS_MAX)
                self._stale_until[name, plural] = until
            case "doom" if not name.startswith("node"):
                writes = draw.randint(1, WRITES_AHEAD_MAX)
                self._doomed[name] = _Doom(writes, draw.choice((True, False)))
            case "server":
                server.kill()
            case "jump":
                self._clock.offset_seconds += draw.uniform(-JUMP_SECONDS_MAX, JUMP_SECONDS_MAX)
            case "part":
                self.part(name, draw.uniform(1.0, PARTED_SECONDS_MAX))
            case _:
                pass

    async def _travel(self) -> None:
        seconds = self._source.expovariate(1.0) * self.weather.delay_seconds
        if self._chance(self.weather.stalls):
            seconds += self._source.uniform(0.0, STALL_SECONDS_MAX)
        await self._clock.sleep(seconds)

    def _check_road(self, caller: str) -> None:
        if self._parted_until.get(caller, 0.0) > self._clock.monotonic():
            raise Broken(grpc.StatusCode.UNAVAILABLE, "there is no way to the server")

    async def _doom(self, caller: str, *, is_after: bool) -> None:
        doom = self._doomed.get(caller)
        if doom is None or doom.is_after != is_after:
            return
        doom.writes -= 1
        if doom.writes > 0:
            return
        del self._doomed[caller]
        self._trace.say(f"kill {caller} {'after' if is_after else 'before'} a write")
        self._members[caller].kill(self._source.uniform(0.0, DOWN_SECONDS_MAX))
        await asyncio.Event().wait()  # nobody lives to see this return

    def _chance(self, probability: float) -> bool:
        return probability > 0 and self._source.random() < probability


def _nobody(caller: str, method: str, request: Any) -> None:
    """Nobody wants to know."""
