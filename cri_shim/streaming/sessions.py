"""One client's streams, and the two protocols that carry them.

SPDY: the client opens a stream for each of ``error stdin stdout stderr resize``. WebSocket: the
first byte of each message is the channel; in v5 channel 255 closes the one that it names.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

from aiohttp import WSMsgType

from pilothouse.services.machinery.errors import BadRequest
from pilothouse.services.runtime.spdy.connection import Stream
from pilothouse.services.runtime.web import WebSocketResponse

CHANNELS = ("stdin", "stdout", "stderr", "error", "resize")
CLOSE = 255
SIZE_BYTES_MAX = 1024
INPUT_WAITING_MAX = 16
CREATION_SECONDS_MAX = 30.0
"""How long a client may take to open its streams."""


class Session(Protocol):
    """What a command's runner needs of a client."""

    def stdin(self) -> AsyncIterator[bytes]:
        """Until the client closes it or goes away."""

    def sizes(self) -> AsyncIterator[tuple[int, int]]:
        """Width and height of its terminal, whenever they change."""

    async def write(self, stream: str, content: bytes) -> None:
        """Output; nothing when the client is gone."""

    async def finish(self, status: Mapping[str, Any]) -> None:
        """The final ``metav1.Status``; every stream of ours ends."""


class SpdySession:
    """Over a SPDY connection whose :meth:`Connection.run` runs."""

    def __init__(self, streams: Mapping[str, Stream], *, plain_errors: bool) -> None:
        self._streams = streams
        self._plain_errors = plain_errors

    @classmethod
    async def accept(
        cls,
        accepted: asyncio.Queue[Stream | None],
        wanted: frozenset[str],
        *,
        plain_errors: bool,
    ) -> "SpdySession":
        """Wait for the streams that were asked for; BadRequest when others come, or none."""
        streams: dict[str, Stream] = {}
        try:
            async with asyncio.timeout(CREATION_SECONDS_MAX):
                while wanted - streams.keys():
                    stream = await accepted.get()
                    if stream is None:
                        raise BadRequest("the client went away")
                    kind = stream.headers.get("streamtype", "")
                    if kind not in wanted or kind in streams:
                        raise BadRequest(f"unexpected stream type: {kind!r}")
                    streams[kind] = stream
        except TimeoutError:
            raise BadRequest("timed out waiting for client to create streams") from None
        return cls(streams, plain_errors=plain_errors)

    async def stdin(self) -> AsyncIterator[bytes]:
        """Of the stream of that name."""
        if "stdin" in self._streams:
            async for chunk in self._streams["stdin"].read():
                yield chunk

    async def sizes(self) -> AsyncIterator[tuple[int, int]]:
        """JSON objects, one after the other."""
        rest = b""
        if "resize" in self._streams:
            async for chunk in self._streams["resize"].read():
                found, rest = sizes_of(rest + chunk)
                for size in found:
                    yield size

    async def write(self, stream: str, content: bytes) -> None:
        """To the stream of that name."""
        if stream in self._streams:
            await self._streams[stream].write(content)

    async def finish(self, status: Mapping[str, Any]) -> None:
        """Protocols before v4 know text only."""
        text = json.dumps(status)
        if self._plain_errors:
            text = "" if status["status"] == "Success" else str(status["message"])
        for name in ("stdout", "stderr"):
            if name in self._streams:
                await self._streams[name].write(b"", last=True)
        await self._streams["error"].write(text.encode(), last=True)


class WebSocketSession:
    """Over a WebSocket of ``v4.channel.k8s.io`` or ``v5``; run :meth:`run` beside."""

    def __init__(self, socket: WebSocketResponse, wanted: frozenset[str]) -> None:
        self._socket = socket
        self._wanted = wanted
        self._input: asyncio.Queue[bytes | None] = asyncio.Queue(INPUT_WAITING_MAX)
        self._sizes: asyncio.Queue[bytes | None] = asyncio.Queue(INPUT_WAITING_MAX)

    async def run(self) -> None:
        """Pass messages on until the client closes."""
        try:
            async for message in self._socket:
                if message.type == WSMsgType.BINARY:
                    await self._take(message.data)
                elif message.type == WSMsgType.TEXT:
                    await self._take(message.data.encode())
        finally:
            for queue in (self._input, self._sizes):
                with contextlib.suppress(asyncio.QueueFull):
                    queue.put_nowait(None)

    async def _take(self, content: bytes) -> None:
        channel, rest = content[:1], content[1:]
        if channel == b"\x00" and rest and "stdin" in self._wanted:
            await self._input.put(rest)
        elif channel == b"\x04" and "resize" in self._wanted:
            await self._sizes.put(rest)
        elif channel == bytes([CLOSE]) and rest[:1] == b"\x00":
            await self._input.put(None)

    async def stdin(self) -> AsyncIterator[bytes]:
        """Of channel 0."""
        while (chunk := await self._input.get()) is not None:
            yield chunk

    async def sizes(self) -> AsyncIterator[tuple[int, int]]:
        """Of channel 4."""
        while (chunk := await self._sizes.get()) is not None:
            for size in sizes_of(chunk)[0]:
                yield size

    async def write(self, stream: str, content: bytes) -> None:
        """On the channel of that stream, if it was asked for."""
        if stream in self._wanted:
            await self._send(stream, content)

    async def finish(self, status: Mapping[str, Any]) -> None:
        """On channel 3; then the socket is closed."""
        await self._send("error", json.dumps(status).encode())
        await self._socket.close()

    async def _send(self, stream: str, content: bytes) -> None:
        with contextlib.suppress(ConnectionError):
            await self._socket.send_bytes(bytes([CHANNELS.index(stream)]) + content)


def sizes_of(text: bytes) -> tuple[list[tuple[int, int]], bytes]:
    """Complete ``{"Width":…,"Height":…}`` objects, and what is left; nonsense is dropped."""
    found: list[tuple[int, int]] = []
    *parts, rest = text.split(b"}")
    for part in parts:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            size = json.loads(part + b"}")
            width, height = int(size["Width"]), int(size["Height"])
            if 0 < width < 1 << 16 and 0 < height < 1 << 16:
                found.append((width, height))
    return found, rest.strip()[-SIZE_BYTES_MAX:]
