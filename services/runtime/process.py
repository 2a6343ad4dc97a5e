"""How a service's process begins and ends."""

import asyncio
import gc
import os
import signal
import socket
from collections.abc import Awaitable, Callable

import setproctitle
import uvloop

from pilothouse.services.runtime import telemetry

Main = Callable[["Ready"], Awaitable[None]]


class Ready:
    """Says to systemd, when it listens, that the service is up, alive, or going."""

    def __init__(self) -> None:
        self._address = os.environ.get("NOTIFY_SOCKET", "")
        self._watchdog_microseconds = int(os.environ.get("WATCHDOG_USEC", "0"))

    def say(self, state: str) -> None:
        """Send one ``sd_notify`` state, such as ``READY=1``."""
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notify:
            notify.sendto(state.encode(), address)

    def ready(self) -> None:
        """The service answers."""
        self.say("READY=1")

    async def keep_alive(self) -> None:
        """Feed the watchdog from the event loop: a stuck loop is a dead service."""
        if not self._watchdog_microseconds:
            return
        while True:
            self.say("WATCHDOG=1")
            await asyncio.sleep(self._watchdog_microseconds / 2_000_000)


def run(title: str, main: Main, *, log_level: str = "info") -> int:
    """Run ``main`` under uvloop until it ends or SIGTERM/SIGINT; the exit code.

    ``title`` follows ``pilothouse`` in the process list. ``main`` is cancelled on a signal and
    drains in its own ``finally`` blocks.
    """
    setproctitle.setproctitle(f"pilothouse {title}")
    telemetry.configure(title.split(maxsplit=1)[0], level=log_level)
    gc.freeze()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_until_signal(main))


async def _until_signal(main: Main) -> int:
    loop = asyncio.get_running_loop()
    this = asyncio.current_task()
    assert this is not None  # noqa: S101 - inside a coroutine there is a task
    ready = Ready()
    stopped = False

    def stop() -> None:
        nonlocal stopped
        if not stopped:
            stopped = True
            ready.say("STOPPING=1")
            this.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        async with asyncio.TaskGroup() as group:
            alive = group.create_task(ready.keep_alive())
            await main(ready)
            alive.cancel()
    except asyncio.CancelledError:
        if not stopped:
            raise
    except BaseExceptionGroup as failures:
        if not stopped or failures.split(asyncio.CancelledError)[1] is not None:
            telemetry.logger().critical("service failed", exc_info=failures)
            return 1
    return 0
