"""A client's connection taken from HTTP, for protocols that are only carried: SPDY and any other.

After the head of a 101 the connection is bytes both ways; at most one read is held for each way.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from aiohttp.abc import AbstractStreamWriter
from typing_extensions import override

from pilothouse.services.runtime import web

READ_BYTES = 64 * 1024
BUFFERED_BYTES_MAX = 256 * 1024


class _Protocol(asyncio.StreamReaderProtocol):
    """Feeds a reader; the HTTP protocol before it still hears of the connection's end."""

    def __init__(self, reader: asyncio.StreamReader, before: asyncio.BaseProtocol) -> None:
        super().__init__(reader)
        self._before = before

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._before.connection_lost(exc)


class Hijacked(web.StreamResponse):
    """The answer that was given past HTTP; nothing more is written for it."""

    def __init__(self, status: int) -> None:
        super().__init__(status=status)
        self.force_close()

    @override
    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        return None

    @override
    async def write_eof(self, data: bytes = b"") -> None:
        return None


@contextlib.asynccontextmanager
async def hijack(
    request: web.BaseRequest, head: bytes
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """The client's bytes from here on, after ``head`` was written; closed in the end.

    A client that goes away ends the request's task, as with any other request.
    """
    transport = request.transport
    if transport is None:
        raise ConnectionError("the client is gone")
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=BUFFERED_BYTES_MAX, loop=loop)
    protocol = _Protocol(reader, request.protocol)
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    transport.resume_reading()
    writer = asyncio.StreamWriter(transport, protocol, reader, loop)
    writer.write(head)
    try:
        await writer.drain()
        yield reader, writer
    finally:
        writer.close()


async def carry(
    client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    backend: tuple[asyncio.StreamReader, asyncio.StreamWriter],
) -> None:
    """Bytes both ways until either side ends."""
    async with asyncio.TaskGroup() as group:
        ways = [
            group.create_task(_copy(client[0], backend[1])),
            group.create_task(_copy(backend[0], client[1])),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while chunk := await source.read(READ_BYTES):
            sink.write(chunk)
            await sink.drain()
