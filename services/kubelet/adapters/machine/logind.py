"""systemd-logind over D-Bus: a lock that delays the machine's going down, and word of it.

The library is loaded when somebody dials: a machine that is not to wait never pays for it.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from pilothouse.services.machinery.errors import ServiceUnavailable

NAME, PATH = "org.freedesktop.login1", "/org/freedesktop/login1"
INTERFACE = "org.freedesktop.login1.Manager"
BUS, BUS_PATH = "org.freedesktop.DBus", "/org/freedesktop/DBus"
SYSTEMD, SYSTEMD_PATH = "org.freedesktop.systemd1", "/org/freedesktop/systemd1"
UNIT = "systemd-logind.service"
DROP_IN = Path("/etc/systemd/logind.conf.d/99-kubelet.conf")
SIGHUP = 1
MICROSECONDS = 1_000_000
CALL_SECONDS = 10.0
ALIVE_SECONDS = 5.0
RELOADS = 50
RELOAD_SECONDS = 0.1
RULE = f"type='signal',interface='{INTERFACE}',member='PrepareForShutdown',path='{PATH}'"


class Logind:
    """One connection to the bus; errors are ServiceUnavailable."""

    def __init__(self, bus: Any, drop_in: Path) -> None:
        self._bus = bus
        self._drop_in = drop_in
        self._lock: int | None = None
        self._events: asyncio.Queue[bool] = asyncio.Queue()

    async def listen(self) -> None:
        """Be told when the machine is to go down."""
        self._bus.add_message_handler(self._hear)
        await self._call(BUS, BUS_PATH, BUS, "AddMatch", "s", RULE)

    def _hear(self, message: Any) -> None:
        if message.member == "PrepareForShutdown" and message.interface == INTERFACE:
            self._events.put_nowait(bool(message.body[0]))

    async def _call(
        self, name: str, path: str, interface: str, member: str, signature: str, *body: object
    ) -> Any:
        from dbus_fast import Message, MessageType  # noqa: PLC0415 - loaded where it is needed

        message = Message(destination=name, path=path, interface=interface, member=member,
                          signature=signature, body=list(body))  # fmt: skip
        try:
            async with asyncio.timeout(CALL_SECONDS):
                answer = await self._bus.call(message)
        except (OSError, EOFError, TimeoutError) as error:
            raise ServiceUnavailable(f"D-Bus: {member}: {error}") from None
        if answer.message_type is MessageType.ERROR:
            told = " ".join(str(part) for part in answer.body)
            raise ServiceUnavailable(f"D-Bus: {member}: {answer.error_name}: {told}")
        return answer

    async def delay_seconds(self) -> float:
        """The longest that the machine waits for anybody."""
        properties = "org.freedesktop.DBus.Properties"
        asked = (INTERFACE, "InhibitDelayMaxUSec")
        answer = await self._call(NAME, PATH, properties, "Get", "ss", *asked)
        return float(answer.body[0].value) / MICROSECONDS

    async def inhibit(self, seconds: float) -> None:
        """Hold a lock for so long, after the limit was raised where it is lower."""
        if await self.delay_seconds() < seconds:
            await self._raise_delay(seconds)
        asked = ("shutdown", "kubelet", "Kubelet needs time to handle node shutdown", "delay")
        answer = await self._call(NAME, PATH, INTERFACE, "Inhibit", "ssss", *asked)
        if not answer.unix_fds:
            raise ServiceUnavailable("D-Bus: Inhibit: no lock came with the answer")
        self.release()
        self._lock = answer.unix_fds[answer.body[0]]

    async def _raise_delay(self, seconds: float) -> None:
        text = f"# Kubelet logind override\n[Login]\nInhibitDelayMaxSec={seconds:.0f}\n"
        try:
            self._drop_in.parent.mkdir(parents=True, exist_ok=True)
            self._drop_in.write_text(text)
        except OSError as error:
            raise ServiceUnavailable(f"unable to override inhibit delay: {error}") from None
        interface = "org.freedesktop.systemd1.Manager"
        asked = (UNIT, "all", SIGHUP)
        await self._call(SYSTEMD, SYSTEMD_PATH, interface, "KillUnit", "ssi", *asked)
        found = 0.0
        for _ in range(RELOADS):
            found = await self.delay_seconds()
            if found >= seconds:
                return
            await asyncio.sleep(RELOAD_SECONDS)
        raise ServiceUnavailable(
            f"logind's InhibitDelayMaxSec ({found:.0f}s) is less than the requested "
            f"shutdownGracePeriod ({seconds:.0f}s)"
        )

    def release(self) -> None:
        """Give the lock back; fine when there is none."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def events(self) -> AsyncIterator[bool]:
        """As they come; ends with ServiceUnavailable when the bus goes away."""
        while self._bus.connected:
            # The library does not tell, in between, that it was cut off.
            try:
                async with asyncio.timeout(ALIVE_SECONDS):
                    event = await self._events.get()
            except TimeoutError:
                continue
            yield event
        raise ServiceUnavailable("D-Bus: the bus is gone")


@contextlib.asynccontextmanager
async def dial(drop_in: Path = DROP_IN) -> AsyncIterator[Logind]:
    """The system's bus (``DBUS_SYSTEM_BUS_ADDRESS`` names another), until the block ends."""
    from dbus_fast import BusType  # noqa: PLC0415 - loaded where it is needed
    from dbus_fast.aio import MessageBus  # noqa: PLC0415 - loaded where it is needed
    from dbus_fast.errors import DBusError  # noqa: PLC0415 - loaded where it is needed

    bus = MessageBus(bus_type=BusType.SYSTEM, negotiate_unix_fd=True)
    try:
        async with asyncio.timeout(CALL_SECONDS):
            await bus.connect()
    except (OSError, EOFError, TimeoutError, DBusError) as error:
        raise ServiceUnavailable(f"no D-Bus: {error}") from None
    found = Logind(bus, drop_in)
    try:
        await found.listen()
        yield found
    finally:
        found.release()
        bus.disconnect()
