"""An end to every short request: one sweep looks after all that run."""

import asyncio
from typing import Any

from pilothouse.services.machinery import durations
from pilothouse.services.machinery.errors import BadRequest

SWEEP_SECONDS = 0.25


class Deadline:
    """When one request's time is up; ``expired`` when it was cancelled for that."""

    __slots__ = ("at", "expired", "task")

    def __init__(self, task: "asyncio.Task[Any]", at: float) -> None:
        self.task = task
        self.at = at
        self.expired = False


class Deadlines:
    """Cancels what runs longer than it may. A timer runs only while requests do."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._running: dict[Deadline, None] = {}
        self._armed = False

    def start(self, asked: str) -> Deadline:
        """The current task's; ``asked`` is the query's ``timeout``, which only shortens it.

        Raises:
            BadRequest: ``asked`` is no duration.
        """
        seconds = self._seconds
        if asked:
            wanted = _asked(asked)
            if 0 < wanted < seconds:
                seconds = wanted
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a request is answered in a task
        loop = asyncio.get_running_loop()
        deadline = Deadline(task, loop.time() + seconds)
        self._running[deadline] = None
        if not self._armed:
            self._armed = True
            loop.call_later(SWEEP_SECONDS, self._sweep)
        return deadline

    def end(self, deadline: Deadline) -> None:
        """The request is answered."""
        self._running.pop(deadline, None)

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for deadline in [each for each in self._running if each.at <= now]:
            del self._running[deadline]
            deadline.expired = True
            deadline.task.cancel()
        self._armed = bool(self._running)
        if self._armed:
            loop.call_later(SWEEP_SECONDS, self._sweep)


def _asked(text: str) -> float:
    try:
        return durations.parse(text)
    except ValueError as error:
        raise BadRequest(f"invalid timeout specified in the request URL - {error}") from None
