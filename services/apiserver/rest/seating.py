"""A seat for each request: taken at once where one is free, else waited for in its turn.

Drives :class:`~pilothouse.services.apiserver.flow.control.Control`: the event loop's turns are its
turns. Where fairness is switched off, two plain limits stand in its place.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from pilothouse.services.apiserver.chain.authorization import MASTERS
from pilothouse.services.apiserver.flow.classification import Digest
from pilothouse.services.apiserver.flow.control import Control, Flow, Rejected
from pilothouse.services.apiserver.flow.level import Ticket
from pilothouse.services.apiserver.flow.limits import list_width
from pilothouse.services.apiserver.requests import Target, User
from pilothouse.services.apiserver.rest.paths import Asked
from pilothouse.services.machinery.errors import TooManyRequests

TOO_MANY = "Too many requests, please try again later."
READING = frozenset({"get", "list", "watch"})
# A request waits for a seat at most this part of the time it has in all.
WAIT_FRACTION = 4

Count = Callable[[Target], int]
Refresh = Callable[[], None]


class Seat(Protocol):
    """What a request holds while it runs. ``headers`` tell where it was sorted."""

    @property
    def headers(self) -> tuple[tuple[str, str], ...]: ...

    async def taken(self) -> None:
        """Wait until it may run; TooManyRequests when that takes too long."""

    def leave(self) -> None:
        """Give it back; a second time changes nothing."""


class Seating(Protocol):
    """Gives seats."""

    def arrive(self, user: User, asked: Asked | None, verb: str, path: str, limit: str) -> Seat:
        """The seat of one request; where there is none, to wait for it is refused.

        ``asked`` is None for paths that are no resource; ``limit`` is what a list asks for.
        """


class FairSeat:
    """A ticket, and the way to its end."""

    __slots__ = ("_seating", "headers", "ticket")

    def __init__(self, seating: "FairSeating", ticket: Ticket, flow: Flow) -> None:
        self._seating = seating
        self.ticket = ticket
        self.headers = flow.headers

    async def taken(self) -> None:
        if self.ticket.state == "waiting":
            await self._seating.wait(self.ticket)

    def leave(self) -> None:
        self._seating.leave(self.ticket)


class RefusedSeat:
    """None: the request is sent away, and told where it was sorted."""

    __slots__ = ("headers",)

    def __init__(self, headers: tuple[tuple[str, str], ...] = ()) -> None:
        self.headers = headers

    async def taken(self) -> None:
        raise refusal()

    def leave(self) -> None:
        """Nothing was taken."""


class FairSeating:
    """Seats by priority and fairness."""

    def __init__(
        self, control: Control, refresh: Refresh, count: Count, request_seconds: float
    ) -> None:
        self.control = control
        self._refresh = refresh
        self._count = count
        self._wait_seconds = request_seconds / WAIT_FRACTION
        self._turning = False

    def arrive(self, user: User, asked: Asked | None, verb: str, path: str, limit: str) -> Seat:
        self._refresh()
        if asked is None:
            digest = Digest(verb, path=path)
        else:
            target = asked.target
            resource = target.plural
            if target.subresource:
                resource = f"{resource}/{target.subresource}"
            namespace = target.namespace
            if resource == "namespaces" and not target.group:
                namespace = target.name
            digest = Digest(asked.verb, target.group, resource, namespace)
        flow = self.control.flow(user, digest)
        width = 1
        if asked is not None and asked.verb in ("list", "deletecollection"):
            width = self._width(flow, asked.target, limit)
        loop = asyncio.get_running_loop()
        try:
            ticket = self.control.arrive(flow, width, loop.time())
        except Rejected:
            return RefusedSeat(flow.headers)
        if not self._turning and self.control.spent:
            self._turning = True
            loop.call_soon(self._turn)
        return FairSeat(self, ticket, flow)

    async def wait(self, ticket: Ticket) -> None:
        """Until ``ticket`` runs; TooManyRequests when that takes too long."""
        future = asyncio.get_running_loop().create_future()
        ticket.wake = future
        try:
            async with asyncio.timeout(self._wait_seconds):
                await future
        except TimeoutError:
            self._give_up(ticket, "time-out")
            raise refusal() from None
        except asyncio.CancelledError:
            self._give_up(ticket, "cancelled")
            raise

    def leave(self, ticket: Ticket) -> None:
        """``ticket`` is done; who waits for its seat gets a turn."""
        if ticket.state != "running":
            return
        self.control.leave(ticket)
        if not self._turning and ticket.level.inqueue:
            self._turning = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        loop = asyncio.get_running_loop()
        for ticket in self.control.turn(loop.time()):
            future = ticket.wake
            if isinstance(future, asyncio.Future) and not future.done():
                future.set_result(None)
        self._turning = self.control.spent
        if self._turning:
            loop.call_soon(self._turn)

    def _give_up(self, ticket: Ticket, reason: str) -> None:
        self.control.give_up(ticket, reason)
        # It may have been given the seat in the very turn in which it went.
        self.leave(ticket)

    def _width(self, flow: Flow, target: Target, limit: str) -> int:
        asked = int(limit) if limit.isascii() and limit.isdecimal() and len(limit) < 10 else 0  # noqa: PLR2004 - digits of any sane limit
        return list_width(self._count(target), asked, flow.level.limits.width)


class PlainSeat:
    """One of a number."""

    headers: tuple[tuple[str, str], ...] = ()
    __slots__ = ("_counts", "_kind")

    def __init__(self, counts: dict[str, int], kind: str) -> None:
        self._counts = counts
        self._kind = kind

    async def taken(self) -> None:
        """It is."""

    def leave(self) -> None:
        if self._kind:
            self._counts[self._kind] -= 1
            self._kind = ""


class PlainSeating:
    """So many reading and so many writing requests at a time (0: any number)."""

    def __init__(self, reading_max: int, writing_max: int) -> None:
        self._most = {"readOnly": reading_max, "mutating": writing_max}
        self.counts = {"readOnly": 0, "mutating": 0}

    def arrive(self, user: User, asked: Asked | None, verb: str, path: str, limit: str) -> Seat:
        if MASTERS in user.groups or verb == "watch":
            return PlainSeat(self.counts, "")
        kind = "readOnly" if verb in READING else "mutating"
        most = self._most[kind]
        if most and self.counts[kind] >= most:
            return RefusedSeat()
        self.counts[kind] += 1
        return PlainSeat(self.counts, kind)


def refusal() -> TooManyRequests:
    """What a request without a seat is told."""
    return TooManyRequests(TOO_MANY, retry_after_seconds=1)
