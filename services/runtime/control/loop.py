"""Run a reconciler: workers, retries with backoff, later look-backs, and what happened."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Protocol

from pilothouse.services.machinery.errors import ApiError
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime import telemetry
from pilothouse.services.runtime.control.queue import WorkQueue

RETRY_FIRST_SECONDS = 0.005
RETRY_MAX_SECONDS = 1000.0
BUG_RETRY_FIRST_SECONDS = 1.0
DOUBLINGS_MAX = 30


@dataclass(frozen=True, slots=True)
class Result:
    """``again_after`` (seconds) asks for another look later; an error asks for one with backoff.

    ``waits_for`` is said to people who ask why nothing happens.
    """

    again_after: float | None = None
    waits_for: str = field(default="", compare=False)

    @classmethod
    def unseen(cls, seconds: float) -> "Result":
        """The cache does not show yet what was written last; at the latest look then."""
        return cls(seconds, "its own last writes to come back through the watch")


DONE = Result()


class Reconciler(Protocol):
    """One loop's work."""

    name: str

    async def reconcile(self, key: Key) -> Result:
        """Make the world match the spec of ``key``. Idempotent; reads its own inputs."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A key's newest error and how often in a row it failed."""

    key: Key
    error: str
    tries: int


class Loop:
    """Works off a queue with a reconciler; alone owns retries, backoff and logging."""

    def __init__(self, reconciler: Reconciler, queue: WorkQueue[Key], *, workers: int = 16) -> None:
        self.name = reconciler.name
        self.queue = queue
        self.retries = 0
        self.running = False
        self._reconciler = reconciler
        self.workers = workers
        self._failures: OrderedDict[Key, Failure] = OrderedDict()
        self._waiting: dict[Key, str] = {}
        self._log = telemetry.logger(controller=reconciler.name)

    def failure(self, key: Key) -> Failure | None:
        """Why ``key`` waits for another try."""
        return self._failures.get(key)

    def waits_for(self, key: Key) -> str:
        """What ``key`` was left for when it was looked at last; empty for nothing in particular."""
        return self._waiting.get(key, "")

    def failures(self) -> list[Failure]:
        """Keys that wait for another try, oldest first."""
        return list(self._failures.values())

    async def run(self) -> None:
        """Work until cancelled; may be run again, and then finds what it left undone."""
        self.running = True
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self.workers):
                    group.create_task(self._work())
        finally:
            self.running = False
            self.queue.close()

    async def _work(self) -> None:
        while True:
            key = await self.queue.get()
            self._waiting.pop(key, None)
            try:
                result = await self._reconciler.reconcile(key)
            except asyncio.CancelledError:
                self.queue.add(key)
                raise
            except ApiError as error:
                self._retry(key, error, RETRY_FIRST_SECONDS)
            except Exception as error:  # noqa: BLE001 - a bug in one loop delays one key only
                self._log.error("reconcile failed", key=str(key), exc_info=error)
                self._retry(key, error, BUG_RETRY_FIRST_SECONDS)
            else:
                self._failures.pop(key, None)
                if result.waits_for:
                    self._waiting[key] = result.waits_for
                if result.again_after is not None:
                    self.queue.add_after(key, result.again_after)
            finally:
                self.queue.done(key)

    def _retry(self, key: Key, error: Exception, first_seconds: float) -> None:
        before = self._failures.get(key)
        tries = before.tries + 1 if before else 1
        self._failures[key] = Failure(key, f"{type(error).__name__}: {error}", tries)
        self.retries += 1
        delay = min(first_seconds * 2 ** min(tries - 1, DOUBLINGS_MAX), RETRY_MAX_SECONDS)
        self._log.info("again later", key=str(key), error=str(error), seconds=round(delay, 3))
        self.queue.add_after(key, delay)
