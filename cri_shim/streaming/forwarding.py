"""Ports of a sandbox: each request of a client is a pair of SPDY streams, errors and data."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pilothouse.services.machinery.errors import ApiError
from pilothouse.services.runtime.spdy.connection import Stream

CONNECTIONS_MAX = 256
"""At a time for one client; further ones wait."""
PAIRS_WAITING_MAX = 1024
READ_BYTES = 64 * 1024
PORT_MAX = 65535

Pipe = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[int], Awaitable[Pipe]]
"""To a port of the sandbox; an ApiError tells why not."""


@dataclass
class Pair:
    """One connection of the client's."""

    error: Stream | None = None
    data: Stream | None = None


async def forward(accepted: asyncio.Queue[Stream | None], connect: Connect) -> None:
    """Until the client goes away; then every connection ends."""
    slots = asyncio.Semaphore(CONNECTIONS_MAX)
    pairs: dict[str, Pair] = {}
    async with asyncio.TaskGroup() as group:
        tasks: set[asyncio.Task[None]] = set()
        while (stream := await accepted.get()) is not None:
            kind = stream.headers.get("streamtype", "")
            if kind not in {"error", "data"} or len(pairs) >= PAIRS_WAITING_MAX:
                await stream.reset()
                continue
            name = stream.headers.get("requestid") or _old_name(kind, stream.number)
            pair = pairs.setdefault(name, Pair())
            setattr(pair, kind, stream)
            if pair.error is None or pair.data is None:
                continue
            del pairs[name]
            await slots.acquire()
            task = group.create_task(_serve(pair.error, pair.data, connect))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            task.add_done_callback(lambda _: slots.release())
        for task in tasks:
            task.cancel()


def _old_name(kind: str, number: int) -> str:
    """Clients without request ids open the data stream right after the error stream."""
    return str(number if kind == "error" else number - 2)


async def _serve(error: Stream, data: Stream, connect: Connect) -> None:
    """One connection; its failure is told on its own error stream."""
    problem = ""
    port = data.headers.get("port", "")
    if not port.isdecimal() or not 0 < int(port) <= PORT_MAX:
        problem = f"unable to parse port {port!r}"
    else:
        try:
            pipe = await connect(int(port))
        except ApiError as failed:
            problem = failed.message
        else:
            await _copy_both(data, pipe)
    if problem:
        text = f"error forwarding port {port} to pod: {problem}"
        await error.write(text.encode())
    await error.write(b"", last=True)
    await data.write(b"", last=True)


async def _copy_both(data: Stream, pipe: Pipe) -> None:
    """Until the sandbox's side has ended; what the client has ended only ends one way."""
    reader, writer = pipe
    try:
        async with asyncio.TaskGroup() as group:
            inward = group.create_task(_inward(data, writer))
            with contextlib.suppress(ConnectionError):
                while chunk := await reader.read(READ_BYTES):
                    await data.write(chunk)
            inward.cancel()
    finally:
        writer.close()


async def _inward(data: Stream, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        async for chunk in data.read():
            writer.write(chunk)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
