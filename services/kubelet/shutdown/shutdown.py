"""Hold the machine up until pods have ended.

::

    inhibit ─▶ "going down" ─▶ Node not ready, nobody let in ─▶ group by group ends ─▶ release
       ▲                                                                                 │
       └──────────────────────── "going down" taken back ◀───────────────────────────────┘
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from pilothouse.services.kubelet.metrics.meters import Meters
from pilothouse.services.kubelet.resources.admission import Rejection
from pilothouse.services.kubelet.shutdown import groups
from pilothouse.services.kubelet.shutdown.groups import NODE_PROBLEM, REJECTION, Grace, Group
from pilothouse.services.kubelet.workers.worker import PodWorker
from pilothouse.services.machinery.errors import ApiError
from pilothouse.services.runtime import telemetry
from pilothouse.services.runtime.clock import Clock

RETRY_FIRST_SECONDS = 1.0
RETRY_MAX_SECONDS = 60.0
LOOK_SECONDS = 0.2
ENDED = frozenset({"Succeeded", "Failed"})


class Login(Protocol):
    """Whoever takes the machine down, and waits for those who asked it to."""

    async def inhibit(self, seconds: float) -> None:
        """Ask for so many seconds; ServiceUnavailable when it does not grant them."""

    def release(self) -> None:
        """No more time is needed."""

    def events(self) -> AsyncIterator[bool]:
        """True: the machine goes down now. False: it does not after all."""


class Tenants(Protocol):
    """The pods of this node."""

    def workers(self) -> Sequence[PodWorker]: ...
    def refuse(self, rejection: Rejection | None, /) -> None:
        """Let nobody in, for this reason; None: let them in again."""


class Host(Protocol):
    """The Node object, and events about it."""

    def hold(self, problem: str) -> None:
        """Why the Node is not ready; empty when it is."""

    def note(self, reason: str, message: str) -> None: ...


class Shutdown:
    """For as long as the kubelet runs."""

    def __init__(
        self,
        graces: Sequence[Grace],
        dial: Callable[[], AbstractAsyncContextManager[Login]],
        tenants: Tenants,
        host: Host,
        meters: Meters,
        clock: Clock,
    ) -> None:
        self._graces = graces
        self._dial = dial
        self._tenants = tenants
        self._host = host
        self._meters = meters
        self._clock = clock
        self._log = telemetry.logger(part="shutdown")

    async def run(self) -> None:
        """Until cancelled; at once when the machine is not to wait."""
        wait = RETRY_FIRST_SECONDS
        while self._graces:
            try:
                async with self._dial() as login:
                    await login.inhibit(groups.together(self._graces))
                    wait = RETRY_FIRST_SECONDS
                    await self._heed(login)
            except ApiError as error:
                self._log.error("shutdown is not inhibited", error=error.message, seconds=wait)
            await self._clock.sleep(wait)
            wait = min(wait * 2, RETRY_MAX_SECONDS)

    async def _heed(self, login: Login) -> None:
        async for is_going in login.events():
            if is_going:
                self._host.note("NodeShutdown", "Shutdown manager detected shutdown event")
                await self._go(login)
                continue
            self._host.note("NodeShutdown", "Shutdown manager detected shutdown cancellation")
            self._tenants.refuse(None)
            self._host.hold("")
            await login.inhibit(groups.together(self._graces))

    async def _go(self, login: Login) -> None:
        self._meters.shutdown_started.set(self._clock.now())
        self._host.hold(NODE_PROBLEM)
        self._tenants.refuse(REJECTION)
        workers = [item for item in self._tenants.workers() if item.phase not in ENDED]
        pods = {worker.pod.uid: worker for worker in workers}
        for group in groups.groups(self._graces, (worker.pod for worker in workers)):
            await self._end(group, [pods[pod.uid] for pod in group.pods])
        login.release()
        self._meters.shutdown_ended.set(self._clock.now())
        self._log.info("pods have ended, the machine may go down")

    async def _end(self, group: Group, workers: Sequence[PodWorker]) -> None:
        """All of the group; no longer than its grace."""
        for worker in workers:
            worker.evict(groups.ending(worker.pod, group.grace))
        until = self._clock.monotonic() + group.grace.seconds
        while self._clock.monotonic() < until:
            left = [worker for worker in workers if worker.phase not in ENDED]
            if not left:
                return
            await self._clock.sleep(LOOK_SECONDS)
        self._log.warning("pods took longer than their grace", priority=group.grace.priority)
