"""Listening sockets, TLS, and connections that know whose certificate they carry."""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import BadHttpMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler
from typing_extensions import override

from pilothouse.services.apiserver.chain.certificates import user_of_certificate
from pilothouse.services.apiserver.requests import User
from pilothouse.services.apiserver.rest.replies import refuse
from pilothouse.services.apiserver.rest.request import Request
from pilothouse.services.machinery import errors
from pilothouse.services.machinery.errors import ApiError
from pilothouse.services.runtime import telemetry, web
from pilothouse.services.runtime.clientcerts import Judge, defer
from pilothouse.services.runtime.clock import Clock
from pilothouse.services.runtime.heap import Heap

BACKLOG = 1024
# Selectors and field paths travel in the request line.
LINE_BYTES_MAX = 64 * 1024
# A refused body is read to its end for this long, so that its sender sees the Status.
LINGER_SECONDS = 10.0
DRAIN_SECONDS = 2.0
SWEEP_SECONDS = 5.0
# From the connection's begin to the end of its first request's head.
HEAD_SECONDS_MAX = 30.0
# A client that takes nothing of what waits for it is cut off after this.
STALLED_SECONDS_MAX = 60.0
IDLE_SECONDS_MAX = 300.0
CONNECTIONS_MAX = 10_000
HANDSHAKE_SECONDS = 10.0
# What may wait for a client: OpenSSL never gives back the memory of what once waited.
UNSENT_BYTES_MAX = 64 * 1024
# After an answer over this size, what its pieces took is given back.
LARGE_BYTES = 1024 * 1024

Answer = Callable[[Request, User | None], Awaitable[web.StreamResponse]]

_BY_CODE: dict[int, type[ApiError]] = {
    400: errors.BadRequest,
    405: errors.MethodNotAllowed,
    413: errors.RequestEntityTooLarge,
    415: errors.UnsupportedMediaType,
}


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files in PEM: the server's own, and the authority of its clients."""

    certificate: Path
    key: Path
    client_authority: Path


def tls_context(certificates: Certificates) -> ssl.SSLContext:
    """TLS 1.2 or later; a client certificate may be shown, and the request is judged by it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificates.certificate, certificates.key)
    context.load_verify_locations(certificates.client_authority)
    if not defer(context):
        telemetry.logger().warning("foreign client certificates are refused in the handshake")
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    return context


class _Connection(RequestHandler):
    """aiohttp's protocol, with the user its certificate names, and a Status for bad HTTP."""

    __slots__ = ("_judge", "begun", "certified", "left", "stalled_since")

    def __init__(self, manager: web.Server, judge: Judge[User], **options: Any) -> None:
        super().__init__(manager, **options)
        self.certified: User | None = None
        self._judge = judge
        # Of the connection, and since when the same bytes have waited for its client.
        self.begun = self.stalled_since = asyncio.get_running_loop().time()
        self.left = 0

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert self.transport is not None  # noqa: S101 - it has just been made
        self.transport.set_write_buffer_limits(UNSENT_BYTES_MAX)
        tls = transport.get_extra_info("ssl_object")
        self.certified = self._judge.user(tls.getpeercert(binary_form=True))

    @override
    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._messages and not isinstance(self._messages[-1][0], RawRequestMessage):
            self._break_off()

    def _break_off(self) -> None:
        """Tell who reads a body that its rest is malformed: aiohttp would let them wait for it."""
        asked = self._current_request
        if len(self._messages) > 1:
            payload = self._messages[-2][1]
        elif asked is not None:
            payload = asked.content
        else:
            return
        if not payload.is_eof():
            self._messages.pop()
            payload.set_exception(BadHttpMessage("the body is malformed"))
            self.close()

    def hopeless(self, now: float) -> bool:
        """Whether it never asked anything, or no longer takes what it asked for."""
        transport = self.transport
        if transport is None:
            return False
        if self._request_count == 0 and now - self.begun > HEAD_SECONDS_MAX:
            return True
        left = transport.get_write_buffer_size()
        if left == 0 or left != self.left:
            self.left, self.stalled_since = left, now
            return False
        return now - self.stalled_since > STALLED_SECONDS_MAX

    def cut_off(self) -> None:
        """Drop the connection and what waits for its client."""
        if self.transport is not None:
            self.transport.abort()

    @override
    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun")
        text = "the request is malformed" if status != 500 else "internal error"  # noqa: PLR2004 - the status
        reply = refuse(_BY_CODE.get(status, errors.InternalError)(text))
        reply.force_close()
        return reply


class _Server(web.Server):
    """Makes connections of ours."""

    def __init__(self, answer: Answer, judge: Judge[User]) -> None:
        self._judge = judge
        heap = Heap()

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            assert isinstance(request, Request)  # noqa: S101 - the factory below makes them
            connection = request.protocol
            certified = connection.certified if isinstance(connection, _Connection) else None
            response = await answer(request, certified)
            if type(response) is web.StreamResponse and _is_large(response):
                heap.give_back_later()
            return response

        super().__init__(handle, request_factory=_request, handler_cancellation=True)

    async def sweep(self) -> None:
        """Cut off connections that only cost, now and then, until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = asyncio.get_running_loop().time()
            for connection in self.connections:
                if isinstance(connection, _Connection) and connection.hopeless(now):
                    connection.cut_off()

    @override
    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        if len(self._connections) > CONNECTIONS_MAX:
            transport.abort()

    @override
    def __call__(self) -> RequestHandler:
        return _Connection(
            self,
            self._judge,
            loop=asyncio.get_running_loop(),
            access_log=None,
            logger=_QUIET,
            max_line_size=LINE_BYTES_MAX,
            max_field_size=LINE_BYTES_MAX,
            lingering_time=LINGER_SECONDS,
            keepalive_timeout=IDLE_SECONDS_MAX,
        )


def _is_large(response: web.StreamResponse) -> bool:
    return (response.content_length or 0) > LARGE_BYTES


def _request(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: RequestHandler,
    writer: AbstractStreamWriter,
    task: "asyncio.Task[None]",
) -> Request:
    return Request(message, payload, protocol, writer, task, asyncio.get_running_loop())


# What aiohttp would log of requests could hold a token: our own log says what is ours to say.
_QUIET = logging.getLogger("pilothouse.aiohttp")
_QUIET.addHandler(logging.NullHandler())
_QUIET.propagate = False


def listening_socket(address: str, port: int) -> socket.socket:
    """A socket that listens; port 0 lets the kernel choose."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((address, port))
    listening.listen(BACKLOG)
    return listening


def inherited_socket(number: int) -> socket.socket:
    """A socket that the parent process opened and listens on."""
    return socket.socket(fileno=number)


@contextlib.asynccontextmanager
async def serve(
    answer: Answer,
    sockets: Sequence[socket.socket],
    certificates: Certificates,
    clock: Clock,
    drained: Callable[[], Awaitable[None]],
) -> AsyncIterator[None]:
    """Serve until the block ends, then take no more and finish: ``drained`` waits for that."""
    loop = asyncio.get_running_loop()
    context = tls_context(certificates)
    judge = Judge(certificates.client_authority, clock.now, user_of_certificate)
    protocols = _Server(answer, judge)
    servers = [
        await loop.create_server(
            protocols, sock=listening, ssl=context, ssl_handshake_timeout=HANDSHAKE_SECONDS
        )
        for listening in sockets
    ]
    telemetry.logger().info("listening", addresses=[str(each.getsockname()) for each in sockets])
    async with asyncio.TaskGroup() as group:
        sweeping = group.create_task(protocols.sweep())
        try:
            yield
        finally:
            sweeping.cancel()
            await _close(servers, protocols, drained)


async def _close(
    servers: Sequence[asyncio.Server], protocols: _Server, drained: Callable[[], Awaitable[None]]
) -> None:
    for server in servers:
        server.close()
    try:
        await drained()
    finally:
        protocols.pre_shutdown()
        await protocols.shutdown(DRAIN_SECONDS)
