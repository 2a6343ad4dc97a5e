"""Leader election by Lease: of several processes that stand by, one works.

::

    acquire ──▶ work ┬─▶ renew every retry period
       ▲             │ not renewed for the deadline, or another holds it
       └─────────────┘ work is cancelled; the process stays and stands by
    cancelled: work ends first, then the Lease is given back

``decide`` (:mod:`pilothouse.services.runtime.control.leadership`) says what to write. Who stands by
watches the Lease: it knows at once that it is free, and sleeps until it would lapse. A process that
was stopped and goes on later finds its :class:`Term` over before it writes anything, and what it
had sent already carries the term's claim, which the API server refuses by then.
"""

import asyncio
import contextlib
import random
import socket
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from grpc import aio

from pilothouse.services.machinery.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    NotFound,
    ServiceUnavailable,
)
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime import incumbent, telemetry
from pilothouse.services.runtime.client.events import Recorder
from pilothouse.services.runtime.client.leases import ApiLeases
from pilothouse.services.runtime.client.objects import Objects
from pilothouse.services.runtime.clock import Clock
from pilothouse.services.runtime.control import leadership
from pilothouse.services.runtime.control.leadership import Candidate, Observed, Record, Timing
from pilothouse.services.runtime.rpc.claims import Claim, Pairs

RELEASE_SECONDS_MAX = 1.0

Work = Callable[[], Awaitable[None]]

Sort = TypeVar("Sort", bound=Objects)


class Leases(Protocol):
    """The one Lease that is contended for. Every call raises ApiError and nothing else."""

    async def get(self) -> tuple[Record, str]:
        """What it says, and its revision; NotFound."""

    async def create(self, record: Record) -> str:
        """The new revision; AlreadyExists."""

    async def update(self, record: Record, revision: str) -> str:
        """The new revision; Conflict where ``revision`` is not the present one."""

    def watch(self) -> AsyncIterator[tuple[Record, str] | None]:
        """What it says, now and after each change; None where there is none."""

    def note(self, message: str) -> None:
        """An event about it."""


class Term:
    """For how long this process may write: until the deadline after its last renewal."""

    def __init__(self, clock: Clock, lease: Key | None = None) -> None:
        self.slow_paths = 0
        """How often a Lease was read before it was written."""
        self.holder = ""
        """Who has the Lease, as far as is known."""
        self._clock = clock
        self._lease = lease
        self._claim: Pairs = ()
        self._end = float("-inf")

    @property
    def left_seconds(self) -> float:
        return self._end - self._clock.monotonic()

    def until(self, end: float, record: Record | None = None) -> None:
        """Monotonic seconds, and what the Lease says."""
        self._end = end
        if self._lease is not None and record is not None:
            self._claim = Claim(self._lease, record.holder, record.transitions).pairs()

    def claim(self) -> Pairs:
        """What goes with each write, as metadata."""
        return self._claim

    def over(self) -> None:
        """Not ours any more."""
        self._end = float("-inf")

    def check(self) -> None:
        """ServiceUnavailable where another may lead by now."""
        if self.left_seconds <= 0:
            raise ServiceUnavailable("this process does not lead")


class Election:
    """One candidate."""

    def __init__(self, leases: Leases, candidate: Candidate, clock: Clock, term: Term) -> None:
        self._leases = leases
        self._candidate = candidate
        self._clock = clock
        self._term = term
        self._observed: Observed | None = None
        # It is free, as the watch tells.
        self._called = asyncio.Event()
        self._is_watched = False
        self._log = telemetry.logger(part="election", identity=candidate.identity)

    async def run(self, work: Work) -> None:
        """Run ``work`` whenever this candidate leads, cancel it when not; until cancelled."""
        try:
            while True:
                await self._acquire()
                self._log.info("leading")
                self._leases.note("became leader")
                try:
                    await self._reign(work)
                finally:
                    self._term.over()
                    self._leases.note("stopped leading")
                self._log.warning("lease lost; standing by")
        finally:
            await self._release()

    async def _acquire(self) -> None:
        async with asyncio.TaskGroup() as group:
            following = group.create_task(self._follow())
            await self._stand()
            following.cancel()

    async def _stand(self) -> None:
        failures = 0
        while True:
            self._called.clear()
            try:
                if await self._try():
                    return
                failures = 0
            except (ApiError, TimeoutError) as error:
                failures += 1
                self._log.info("lease not read or written", error=str(error))
            await self._wait(failures)

    async def _wait(self, failures: int) -> None:
        """Until the Lease is free, would lapse, or nobody tells and it is time to look."""
        while not self._called.is_set():
            left = leadership.left_seconds(self._observed, self._clock.monotonic())
            if failures or not self._is_watched:
                chance = random.random()  # noqa: S311 - spreads candidates, keeps no secret
                pause = leadership.pause_seconds(self._candidate, failures, chance)
                await self._sleep(min(pause, left) if left > 0 else pause)
                return
            if left <= 0:
                return
            await self._sleep(left)

    async def _sleep(self, seconds: float) -> None:
        """Or until called."""
        async with asyncio.TaskGroup() as group:
            sleeping = group.create_task(self._clock.sleep(seconds))
            called = group.create_task(self._called.wait())
            await asyncio.wait((sleeping, called), return_when=asyncio.FIRST_COMPLETED)
            sleeping.cancel()
            called.cancel()

    async def _follow(self) -> None:
        """See the Lease change as long as it is another's."""
        while True:
            try:
                async for told in self._leases.watch():
                    self._is_watched = True
                    self._see(told)
                    if leadership.is_free(self._candidate, self._observed):
                        self._called.set()
            except ApiError as error:
                self._log.info("lease not watched", error=error.message)
            finally:
                self._is_watched = False
            await self._clock.sleep(self._candidate.timing.retry_seconds)

    async def _reign(self, work: Work) -> None:
        async with asyncio.TaskGroup() as group:
            working = group.create_task(_run(work))
            try:
                await self._renew()
            finally:
                working.cancel()

    async def _renew(self) -> None:
        """Until the term is over, or another's; or was, for what was decided before is too old."""
        began = self._transitions()
        while (left := self._term.left_seconds) > 0:
            await self._clock.sleep(min(self._candidate.timing.retry_seconds, left))
            try:
                if not await self._try() or self._transitions() != began:
                    return
            except (ApiError, TimeoutError) as error:
                self._log.warning("lease not renewed", error=str(error))

    def _transitions(self) -> int:
        """How often the Lease has changed hands."""
        return self._observed.record.transitions if self._observed is not None else -1

    async def _try(self) -> bool:
        """Take or keep the Lease; whether it is ours. Optimistic while it is: one write."""
        # What is in flight at the end of the term is given up with it.
        left = self._term.left_seconds
        patience = left if left > 0 else self._candidate.timing.renew_seconds
        async with asyncio.timeout(patience):
            if leadership.holds(self._candidate, self._observed):
                with contextlib.suppress(Conflict, NotFound):
                    return await self._write()
            self._term.slow_paths += 1
            await self._look()
            try:
                return await self._write()
            except (AlreadyExists, Conflict):
                await self._look()  # another was faster: from now on its time counts
                return leadership.holds(self._candidate, self._observed)

    async def _look(self) -> None:
        try:
            self._see(await self._leases.get())
        except NotFound:
            self._see(None)

    def _see(self, told: tuple[Record, str] | None) -> None:
        self._term.holder = "" if told is None else told[0].holder
        if told is None:
            self._observed = None
            return
        now = self._clock.monotonic()
        known = self._observed or Observed(*told, now)
        self._observed = known.seen(*told, now)

    async def _write(self) -> bool:
        sent = self._clock.monotonic()
        act = leadership.decide(self._candidate, self._observed, sent, self._clock.now())
        if isinstance(act, leadership.Wait):
            return False
        if isinstance(act, leadership.Create):
            revision = await self._leases.create(act.record)
        else:
            revision = await self._leases.update(act.record, act.revision)
        self._observed = Observed(act.record, revision, sent)
        self._term.holder = act.record.holder
        self._term.until(sent + self._candidate.timing.renew_seconds, act.record)
        return True

    async def _release(self) -> None:
        if self._observed is None or not leadership.holds(self._candidate, self._observed):
            return
        act = leadership.release(self._observed, self._clock.now())
        try:
            async with asyncio.timeout(RELEASE_SECONDS_MAX):
                await self._leases.update(act.record, act.revision)
        except (ApiError, TimeoutError) as error:
            self._log.info("lease not released", error=str(error))


async def _run(work: Work) -> None:
    await work()


@dataclass(frozen=True, slots=True)
class Contest:
    """For which Lease ``component`` stands; ``mark`` is the file by which it knows its dead."""

    component: str
    lease: Key
    timing: Timing
    mark: Path

    async def run(self, objects: Objects, clock: Clock, term: Term, work: Work) -> None:
        """Stand, and run ``work`` while leading, until cancelled; ``objects`` asks no term."""
        identity = f"{socket.gethostname()}_{uuid.uuid4()}"
        recorder = Recorder(objects, clock, self.component)
        leases = ApiLeases(objects, self.lease, identity, recorder)
        with incumbent.marked(self.mark, identity) as predecessor:
            candidate = Candidate(identity, self.timing, predecessor)
            async with asyncio.TaskGroup() as group:
                group.create_task(recorder.run())
                await Election(leases, candidate, clock, term).run(work)


def writer(sort: type[Sort], channel: aio.Channel, term: Term, contest: Contest | None) -> Sort:
    """A client of this sort whose writes end with ``term``; without a contest they never do."""
    if contest is None:
        return sort(channel)
    return sort(channel, before_write=term.check, claim=term.claim)
