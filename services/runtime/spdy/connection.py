"""One SPDY connection: streams over a socket."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from urllib.parse import urlsplit

from pilothouse.services.machinery.errors import ServiceUnavailable
from pilothouse.services.runtime.spdy import frames
from pilothouse.services.runtime.spdy.frames import Control, Data, Decoder, Encoder

READ_BYTES = 64 * 1024
CHUNKS_WAITING_MAX = 16
CONNECT_SECONDS = 10.0
STREAMS_MAX = 1024
"""What one peer may have open at a time; more are refused."""
REFUSED = 3


class Stream:
    """One stream. Reading ends when the peer closed its side, or the connection broke."""

    def __init__(
        self, connection: "Connection", number: int, headers: Mapping[str, str] | None = None
    ) -> None:
        self._connection = connection
        self.number = number
        self.headers = headers or {}
        self._chunks: asyncio.Queue[bytes | None] = asyncio.Queue(CHUNKS_WAITING_MAX)

    async def feed(self, chunk: bytes | None) -> None:
        """From the peer; None: no more."""
        await self._chunks.put(chunk)

    async def read(self) -> AsyncIterator[bytes]:
        """Chunks until the end."""
        while (chunk := await self._chunks.get()) is not None:
            if chunk:
                yield chunk

    async def write(self, content: bytes, *, last: bool = False) -> None:
        """To the peer; ``last`` closes our side."""
        await self._connection.send(frames.data(Data(self.number, content, last)))

    async def reset(self) -> None:
        """Nothing more, neither way."""
        await self._connection.reset(self.number)


class Connection:
    """After the upgrade. Run :meth:`run` beside the streams' readers.

    Streams that the peer opens go to ``accepted``, and None when there will be no more; without a
    queue they are not answered.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        accepted: asyncio.Queue[Stream | None] | None = None,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._accepted = accepted
        self._encoder = Encoder()
        self._streams: dict[int, Stream] = {}
        self._next = 1

    async def open(self, headers: Mapping[str, str]) -> Stream:
        """A new stream."""
        stream = Stream(self, self._next)
        self._streams[self._next] = stream
        self._next += 2
        await self.send(self._encoder.syn_stream(stream.number, headers))
        return stream

    async def send(self, content: bytes) -> None:
        """Bytes of one frame, waiting while the peer does not read."""
        with contextlib.suppress(ConnectionError):
            self._writer.write(content)
            await self._writer.drain()

    async def run(self) -> None:
        """Pass frames on until the peer closes; then every stream ends."""
        decoder = Decoder()
        try:
            while content := await self._reader.read(READ_BYTES):
                for frame in decoder.feed(content):
                    await self._take(frame)
        except (ConnectionError, frames.FrameError):
            return
        finally:
            for stream in list(self._streams.values()):
                await stream.feed(None)
            self._streams.clear()
            if self._accepted is not None:
                await self._accepted.put(None)

    async def _take(self, frame: Data | Control) -> None:
        if isinstance(frame, Data):
            stream = self._streams.get(frame.stream)
            if stream is not None:
                await stream.feed(frame.content)
                if frame.last:
                    await self._end(frame.stream)
        elif frame.type == frames.PING:
            await self.send(frames.control(frames.PING, frame.payload))
        elif frame.type == frames.SYN_STREAM:
            await self._accept(frame)
        elif frame.type == frames.RST_STREAM or frame.last:
            await self._end(frame.stream)

    async def _accept(self, frame: Control) -> None:
        if self._accepted is None:
            return
        if len(self._streams) >= STREAMS_MAX:
            await self.send(frames.rst_stream(frame.stream, REFUSED))
            return
        stream = Stream(self, frame.stream, frame.headers)
        self._streams[frame.stream] = stream
        await self.send(self._encoder.syn_reply(frame.stream, {}))
        await self._accepted.put(stream)
        if frame.last:
            await self._end(frame.stream)

    async def reset(self, number: int) -> None:
        """End a stream, both ways."""
        await self.send(frames.rst_stream(number))
        await self._end(number)

    async def _end(self, number: int) -> None:
        stream = self._streams.pop(number, None)
        if stream is not None:
            await stream.feed(None)

    async def close(self) -> None:
        """Now."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


async def upgrade(url: str, protocol: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to a streaming URL and switch to SPDY; ServiceUnavailable when it is refused."""
    _, reader, writer = await negotiate(url, [protocol])
    return reader, writer


async def negotiate(
    url: str, protocols: Sequence[str]
) -> tuple[bytes, asyncio.StreamReader, asyncio.StreamWriter]:
    """The same with a choice of protocols; the head of the answer names the one chosen."""
    parts = urlsplit(url)
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    offered = "".join(f"X-Stream-Protocol-Version: {name}\r\n" for name in protocols)
    request = (
        f"POST {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: Upgrade\r\n"
        f"Upgrade: SPDY/3.1\r\n{offered}Content-Length: 0\r\n\r\n"
    )
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            writer.write(request.encode())
            head = await reader.readuntil(b"\r\n\r\n")
    except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
        raise ServiceUnavailable(f"runtime's streaming server: {error}") from error
    line = head.split(b"\r\n", 1)[0].decode(errors="replace")
    if line.split()[1:2] != ["101"]:
        writer.close()
        raise ServiceUnavailable(f"runtime's streaming server refused: {line}")
    return head, reader, writer
