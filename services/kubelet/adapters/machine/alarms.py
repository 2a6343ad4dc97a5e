"""Let the kernel say when memory gets short, instead of asking it.

Version 1 tells when the usage of a cgroup crosses a number (``cgroup.event_control``); with version
2 the kernel tells when processes had to wait for memory (PSI). Where neither works there is only
the look every few seconds.
"""

import asyncio
import contextlib
import os
import select
from collections.abc import Callable
from pathlib import Path

from pilothouse.services.kubelet.adapters.machine.cgroups import MOUNT, is_v2
from pilothouse.services.runtime import telemetry
from pilothouse.services.runtime.clock import Clock

PRESSURE = Path("/proc/pressure/memory")
STALL = "some 150000 1000000"
"""150 ms of waiting within one second."""
REFRESH_SECONDS = 10.0
USAGE = "memory.usage_in_bytes"


class MemoryAlarm:
    """``ring`` is called whenever it gets short; ``most``: bytes that may be used."""

    def __init__(
        self, ring: Callable[[], None], most: int, clock: Clock, mount: Path = MOUNT
    ) -> None:
        self._ring = ring
        self._most = most
        self._clock = clock
        self._mount = mount
        self._log = telemetry.logger(part="eviction")

    async def run(self) -> None:
        """Until cancelled."""
        try:
            if is_v2(self._mount):
                await self._watch_pressure()
            else:
                await self._watch_usage()
        except OSError as error:
            self._log.info("the kernel does not tell of memory; looking instead", error=str(error))

    async def _watch_pressure(self) -> None:
        trigger = os.open(PRESSURE, os.O_RDWR | os.O_NONBLOCK)
        polled = select.epoll()
        loop = asyncio.get_running_loop()
        try:
            os.write(trigger, STALL.encode())
            polled.register(trigger, select.EPOLLPRI)
            loop.add_reader(polled.fileno(), self._pressed, polled)
            await loop.create_future()
        finally:
            loop.remove_reader(polled.fileno())
            polled.close()
            os.close(trigger)

    def _pressed(self, polled: select.epoll) -> None:
        if polled.poll(0):
            self._ring()

    async def _watch_usage(self) -> None:
        """The number is made anew again and again: what can be given back is not short."""
        directory = self._mount / "memory"
        loop = asyncio.get_running_loop()
        with contextlib.ExitStack() as stack:
            usage = os.open(directory / USAGE, os.O_RDONLY)
            stack.callback(os.close, usage)
            while True:
                told = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
                try:
                    most = self._most + _inactive(directory)
                    (directory / "cgroup.event_control").write_text(f"{told} {usage} {most}")
                    loop.add_reader(told, self._crossed, told)
                    await self._clock.sleep(REFRESH_SECONDS)
                finally:
                    loop.remove_reader(told)
                    os.close(told)

    def _crossed(self, told: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(told)
            self._ring()


def _inactive(directory: Path) -> int:
    """Bytes of files that nobody used of late."""
    for line in (directory / "memory.stat").read_text().splitlines():
        name, _, amount = line.partition(" ")
        if name == "total_inactive_file":
            return int(amount)
    return 0
