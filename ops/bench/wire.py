"""The least that speaks HTTP/1.1 over TLS: a load must not wait for who makes it.

A full client on the other core costs more than the server does; then requests come one by one, and
what is measured is how a server idles.
"""

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any, cast

from typing_extensions import override

HEAD_END = b"\r\n\r\n"
_LENGTH = b"\r\ncontent-length:"
_STATUS_AT = slice(9, 12)


class Connection(asyncio.Protocol):
    """One connection that is kept alive; one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._head = b""
        self._status = 0
        self._parts: list[bytes] = []
        self._left = 0
        self._answered: asyncio.Future[tuple[int, list[bytes]]] | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    async def call(self, request: bytes) -> tuple[int, list[bytes]]:
        """The status and the body of the answer, which must say how long it is, as it came.

        To join large bodies would take of the memory's bandwidth what the server needs.
        """
        self.send(request)
        self._answered = asyncio.get_running_loop().create_future()
        return await self._answered

    def send(self, request: bytes) -> None:
        """Send a whole request."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionError("the connection is closed")
        self._transport.write(request)

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()

    @override
    def data_received(self, data: bytes) -> None:
        if not self._status:
            self._head += data
            end = self._head.find(HEAD_END)
            if end < 0:
                return
            head, data = self._head[: end + 2].lower(), self._head[end + len(HEAD_END) :]
            at = head.index(_LENGTH) + len(_LENGTH)
            self._left = int(head[at : head.index(b"\r\n", at)])
            self._status, self._head = int(head[_STATUS_AT]), b""
        self._parts.append(data)
        self._left -= len(data)
        if self._left <= 0:
            answer = self._status, self._parts
            self._status, self._parts = 0, []
            if self._answered is not None and not self._answered.done():
                self._answered.set_result(answer)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(exc or ConnectionError("the server hung up"))


class Watch(Connection):
    """A connection that counts how often ``mark`` comes, until ``wanted`` times or hung up on."""

    def __init__(self, mark: bytes, wanted: int) -> None:
        super().__init__()
        self.seen = 0
        self.over = asyncio.Event()
        self._mark = mark
        self._wanted = wanted
        self._tail = b""

    @override
    def data_received(self, data: bytes) -> None:
        looked = self._tail + data
        self.seen += looked.count(self._mark)
        self._tail = looked[1 - len(self._mark) :]
        if self.seen >= self._wanted:
            self.over.set()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.over.set()


async def connect(made: Connection, address: tuple[str, int], context: ssl.SSLContext) -> None:
    """Connect ``made`` to a host and port."""
    loop = asyncio.get_running_loop()
    await loop.create_connection(lambda: made, *address, ssl=context)


def request(
    method: str, target: str, headers: Mapping[str, str], body: bytes | None = None
) -> bytes:
    """One request; ``target`` is path and query."""
    told: dict[str, Any] = {"Host": "localhost", "User-Agent": "bench/1", **headers}
    if body is not None:
        told["Content-Length"] = len(body)
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {text}" for name, text in told.items())]
    return "\r\n".join(lines).encode() + HEAD_END + (body or b"")
