"""Between a WebSocket of ``channel.k8s.io`` and the runtime's SPDY streams.

Each WebSocket message is one byte of channel, then content: 0 stdin, 1 stdout, 2 stderr, 3 the
final ``metav1.Status``, 4 terminal size; in v5 255 and a channel closes that channel.
"""

import asyncio
import contextlib
import json

from aiohttp import WSMsgType, web

from pilothouse.services.runtime.hijacking import Hijacked, carry, hijack
from pilothouse.services.runtime.spdy.connection import (
    Connection,
    Stream,
    negotiate,
    upgrade,
)

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
FORWARD_PROTOCOL = "SPDY/3.1+portforward.k8s.io"
RUNTIME_PROTOCOL = "v4.channel.k8s.io"
MESSAGE_BYTES_MAX = 16 * 1024 * 1024
CHUNK_BYTES = 64 * 1024
PING_SECONDS = 30.0
SWITCHING = 101
BROKEN = {
    "metadata": {},
    "status": "Failure",
    "reason": "InternalError",
    "message": "the container runtime closed the connection",
    "code": 500,
}


async def interactive(
    request: web.Request, url: str, streams: frozenset[str]
) -> web.StreamResponse:
    """Relay until the process has ended; a client that goes away ends the relay, not more."""
    reader, writer = await upgrade(url, RUNTIME_PROTOCOL)
    connection = Connection(reader, writer)
    socket = web.WebSocketResponse(
        protocols=PROTOCOLS,
        heartbeat=PING_SECONDS,
        max_msg_size=MESSAGE_BYTES_MAX,
        compress=False,
    )
    try:
        await socket.prepare(request)
        async with asyncio.TaskGroup() as group:
            receiving = group.create_task(connection.run())
            session = await _Session.open(connection, socket, streams)
            relays = [
                group.create_task(session.from_client()),
                group.create_task(session.from_runtime()),
            ]
            await asyncio.wait(relays, return_when=asyncio.FIRST_COMPLETED)
            for task in (*relays, receiving):
                task.cancel()
    finally:
        await connection.close()
        await socket.close()
    return socket


class _Session:
    """The streams of one process."""

    def __init__(self, socket: web.WebSocketResponse, streams: dict[str, Stream]) -> None:
        self._socket = socket
        self._streams = streams

    @classmethod
    async def open(
        cls, connection: Connection, socket: web.WebSocketResponse, wanted: frozenset[str]
    ) -> "_Session":
        """The runtime waits for exactly the streams that were asked of it."""
        names = ["error"]
        names += [name for name in ("stdin", "stdout", "stderr") if name in wanted]
        if "tty" in wanted:
            names.append("resize")
        streams = {name: await connection.open({"streamType": name}) for name in names}
        return cls(socket, streams)

    async def from_client(self) -> None:
        """Until the client closes."""
        async for message in self._socket:
            if message.type == WSMsgType.BINARY:
                await self._take(message.data)
            elif message.type == WSMsgType.TEXT:
                await self._take(message.data.encode())

    async def _take(self, content: bytes) -> None:
        if not content:
            return
        channel, rest = content[0], content[1:]
        stdin, resize = self._streams.get("stdin"), self._streams.get("resize")
        if channel == STDIN and stdin is not None and rest:
            await stdin.write(rest)
        elif channel == RESIZE and resize is not None:
            await resize.write(rest)
        elif channel == CLOSE and rest[:1] == bytes([STDIN]) and stdin is not None:
            await stdin.write(b"", last=True)

    async def from_runtime(self) -> None:
        """Output as it comes, then the status."""
        status = b""
        async with asyncio.TaskGroup() as group:
            for name, channel in (("stdout", STDOUT), ("stderr", STDERR)):
                if name in self._streams:
                    group.create_task(self._relay(self._streams[name], channel))
            async for chunk in self._streams["error"].read():
                status += chunk
        await self._send(ERROR, status or json.dumps(BROKEN).encode())

    async def _relay(self, stream: Stream, channel: int) -> None:
        async for chunk in stream.read():
            await self._send(channel, chunk)

    async def _send(self, channel: int, content: bytes) -> None:
        with contextlib.suppress(ConnectionError):
            await self._socket.send_bytes(bytes([channel]) + content)


async def tunnel(request: web.Request, url: str) -> web.StreamResponse:
    """Bytes both ways between a tunnelled SPDY connection and the runtime's own."""
    reader, writer = await upgrade(url, "portforward.k8s.io")
    socket = web.WebSocketResponse(
        protocols=(FORWARD_PROTOCOL,),
        heartbeat=PING_SECONDS,
        max_msg_size=MESSAGE_BYTES_MAX,
        compress=False,
    )

    async def upward() -> None:
        with contextlib.suppress(ConnectionError):
            async for message in socket:
                if message.type == WSMsgType.BINARY:
                    writer.write(message.data)
                    await writer.drain()

    async def downward() -> None:
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(CHUNK_BYTES):
                await socket.send_bytes(chunk)

    try:
        await socket.prepare(request)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(upward()), group.create_task(downward())]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
    finally:
        writer.close()
        await socket.close()
    return socket


def is_spdy(request: web.Request) -> bool:
    """Whether the client speaks SPDY itself, as clients did before WebSockets."""
    return request.headers.get("Upgrade", "").lower().startswith("spdy/")


async def carried(request: web.Request, url: str) -> web.StreamResponse:
    """The client's own SPDY, to the runtime's streaming server and back; nothing is looked into."""
    offered = [
        name.strip()
        for header in request.headers.getall("X-Stream-Protocol-Version", [])
        for name in header.split(",")
    ]
    head, reader, writer = await negotiate(url, offered)
    try:
        async with hijack(request, head) as client:
            await carry(client, (reader, writer))
    finally:
        writer.close()
    return Hijacked(SWITCHING)
