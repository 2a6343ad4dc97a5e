"""The node's routes through iproute2, marked with a protocol number of our own."""

import asyncio
import json
import subprocess
from collections.abc import Iterable, Sequence

from typing_extensions import override

from pilothouse.services.proxy.ports import Flows, Refused, Routes
from pilothouse.services.proxy.routes import Plan, Route
from pilothouse.services.proxy.rules import Backend

PROTOCOL = "112"
"""What marks a route as ours in the kernel; stale ones are found by it."""


class IpRoutes(Routes):
    """The main table of this network namespace, or of the one that ``enter`` runs commands in."""

    def __init__(self, enter: Sequence[str] = ()) -> None:
        self._enter = enter

    @override
    async def installed(self) -> Sequence[Route]:
        _, output = await _run(
            *self._enter, "ip", "-json", "-4", "route", "show", "proto", PROTOCOL
        )
        return [Route(item["dst"], item.get("gateway", "")) for item in json.loads(output or "[]")]

    @override
    async def apply(self, plan: Plan) -> None:
        commands = [f"route del {route.destination} proto {PROTOCOL}" for route in plan.remove]
        commands += [
            f"route replace {route.destination} via {route.gateway} proto {PROTOCOL}"
            for route in plan.write
        ]
        code, output = await _run(
            *self._enter, "ip", "-force", "-batch", "-", text="\n".join(commands) + "\n"
        )
        if code != 0:
            raise Refused(output.strip())


class Conntrack(Flows):
    """Tracked connections, through the ``conntrack`` program: there is no transaction to join."""

    def __init__(self, enter: Sequence[str] = ()) -> None:
        self._enter = enter

    @override
    async def forget(self, backends: Iterable[Backend]) -> None:
        for backend in backends:
            # Exit code 1 means that no flow matched, which is as good.
            await _run(
                *self._enter, "conntrack", "-D", "-p", "udp",
                "--reply-src", backend.address, "--reply-port-src", str(backend.port),
            )  # fmt: skip


async def _run(*command: str, text: str = "") -> tuple[int, str]:
    """Exit code and output, errors included.

    On a thread: a pipe whose reader ends at once is an error of the loop's own under uvloop.
    """
    done = await asyncio.to_thread(
        subprocess.run,
        command,
        input=text,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout
