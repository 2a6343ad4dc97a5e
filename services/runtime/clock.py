"""Time as a port, so that tests own it."""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Wall time, a monotonic counter and a wait, all in seconds."""

    def now(self) -> float: ...
    def monotonic(self) -> float: ...
    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's own clock."""

    # Asked many times a request: without a call of ours between.
    now = staticmethod(time.time)  # noqa: TID251 - the one place where the clock is read
    monotonic = staticmethod(time.monotonic)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
