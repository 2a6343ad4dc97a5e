"""A message bus of a test's own, and a logind on it that the test plays."""

import asyncio
import contextlib
import os
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus

MANAGER = "org.freedesktop.login1.Manager"
PATH = "/org/freedesktop/login1"
FD_SECONDS = 2.0
"""A lock is on its way for no longer; then only who asked for it has it."""
CONFIGURATION = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>unix:path={path}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""


@contextlib.contextmanager
def bus() -> Iterator[str]:
    """The address of a bus, until the block ends."""
    with tempfile.TemporaryDirectory() as directory:
        path, config = Path(directory) / "bus", Path(directory) / "bus.conf"
        config.write_text(CONFIGURATION.format(path=path))
        command = ["dbus-daemon", f"--config-file={config}", "--nofork", "--print-address=1"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as daemon:
            try:
                yield daemon.stdout.readline().strip()
            finally:
                daemon.terminate()


class FakeLogind:
    """Grants locks. ``held`` counts those that were not given back."""

    def __init__(self, connection: MessageBus, drop_in: Path) -> None:
        self._bus = connection
        self._drop_in = drop_in
        self._locks: list[int] = []
        self.delay_seconds = 5.0
        self.asked: list[list[str]] = []

    @property
    def held(self) -> int:
        """Locks that somebody still has open."""
        for lock in list(self._locks):
            with contextlib.suppress(BlockingIOError):
                if os.read(lock, 1) == b"":
                    os.close(lock)
                    self._locks.remove(lock)
        return len(self._locks)

    def answer(self, message: Message) -> Message | bool:
        """Calls of the three methods that a kubelet makes."""
        if message.message_type is not MessageType.METHOD_CALL:
            return False
        if message.member == "Get":
            delay = Variant("t", int(self.delay_seconds * 1_000_000))
            return Message.new_method_return(message, "v", [delay])
        if message.member == "KillUnit":
            text = self._drop_in.read_text()
            self.delay_seconds = float(text.rpartition("InhibitDelayMaxSec=")[2])
            return Message.new_method_return(message)
        if message.member == "Inhibit":
            self.asked.append(list(message.body))
            mine, theirs = os.pipe()
            os.set_blocking(mine, False)
            self._locks.append(mine)
            made = Message.new_method_return(message, "h", [0], [theirs])
            asyncio.get_running_loop().call_later(FD_SECONDS, os.close, theirs)
            return made
        return False

    async def prepare_for_shutdown(self, going: bool) -> None:
        """Tell everybody."""
        await self._bus.send(Message.new_signal(PATH, MANAGER, "PrepareForShutdown", "b", [going]))


@contextlib.asynccontextmanager
async def logind(address: str, drop_in: Path) -> AsyncIterator[FakeLogind]:
    """A logind, and as much of systemd as reloads it, until the block ends."""
    connection = await MessageBus(bus_address=address, negotiate_unix_fd=True).connect()
    found = FakeLogind(connection, drop_in)
    connection.add_message_handler(found.answer)
    for name in ("org.freedesktop.login1", "org.freedesktop.systemd1"):
        await connection.request_name(name)
    try:
        yield found
    finally:
        connection.disconnect()
