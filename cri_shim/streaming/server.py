"""The streaming server: URLs for CRI's Exec, Attach and PortForward, and who comes with them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Any

from aiohttp import web

from pilothouse.cri_shim.logs.containers import ContainerLogs
from pilothouse.cri_shim.logs.fifos import Sink
from pilothouse.cri_shim.ports import Processes, Records
from pilothouse.cri_shim.records import READY
from pilothouse.cri_shim.streaming import statuses
from pilothouse.cri_shim.streaming.commands import Commands
from pilothouse.cri_shim.streaming.forwarding import Pipe, forward
from pilothouse.cri_shim.streaming.sessions import Session, SpdySession, WebSocketSession
from pilothouse.cri_shim.streaming.tokens import Tokens, Wish
from pilothouse.services.machinery.errors import ApiError, BadRequest
from pilothouse.services.runtime.clock import Clock
from pilothouse.services.runtime.hijacking import Hijacked, hijack
from pilothouse.services.runtime.spdy.connection import Connection, Stream

HOST = "127.0.0.1"
COMMAND_PROTOCOLS = ("v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io")
SOCKET_PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
FORWARD_PROTOCOLS = ("portforward.k8s.io",)
ACCEPTED_WAITING_MAX = 64
MESSAGE_BYTES_MAX = 16 * 1024 * 1024
PING_SECONDS = 30.0
GRACE_SECONDS = 1.0

Connect = Callable[[str, int], Awaitable[Pipe]]
"""To a port inside the network namespace of that path."""
Run = Callable[[Session], Awaitable[dict[str, Any]]]


class StreamingServer:
    """Serves while :meth:`serving`. Whoever has a token may use it: it listens on loopback."""

    def __init__(
        self,
        commands: Commands,
        logs: ContainerLogs,
        parts: tuple[Records, Processes, Connect],
        clock: Clock,
    ) -> None:
        self._commands = commands
        self._logs = logs
        self._records, self._processes, self._connect = parts
        self._tokens = Tokens(clock)
        self._address = ""

    @contextlib.asynccontextmanager
    async def serving(self, address: str = HOST, port: int = 0) -> AsyncIterator[None]:
        """On a port of the system's choice, unless one is named."""
        application = web.Application()
        for kind in ("exec", "attach", "portforward"):
            application.router.add_route("*", f"/{kind}/{{token}}", self._answer)
        runner = web.AppRunner(application, shutdown_timeout=GRACE_SECONDS, access_log=None)
        await runner.setup()
        try:
            site = web.TCPSite(runner, address, port)
            await site.start()
            host = f"[{address}]" if ":" in address else address
            self._address = f"http://{host}:{runner.addresses[0][1]}"
            yield
        finally:
            await runner.cleanup()

    def exec_url(self, container_id: str, command: Sequence[str], streams: frozenset[str]) -> str:
        """Where to run a command; ``streams`` of stdin, stdout, stderr, tty."""
        record = self._commands.running(container_id)
        return self._url(Wish("exec", record.id, tuple(command), _checked(streams)))

    def attach_url(self, container_id: str, streams: frozenset[str]) -> str:
        """Where to meet a container's main process."""
        record = self._commands.running(container_id)
        if record.config.tty:
            streams -= {"stderr"}
        return self._url(Wish("attach", record.id, (), _checked(streams)))

    def forward_url(self, sandbox_id: str, ports: Sequence[int] = ()) -> str:
        """Where to reach a sandbox's ports."""
        record = self._records.sandbox(sandbox_id)
        if record.state != READY:
            raise BadRequest(f"sandbox container {record.id!r} is not running")
        return self._url(Wish("portforward", record.id, ports=tuple(ports)))

    def _url(self, wish: Wish) -> str:
        return f"{self._address}/{wish.kind}/{self._tokens.keep(wish)}"

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        kind = request.path.split("/")[1]
        try:
            wish = self._tokens.take(kind, request.match_info["token"])
            upgrade = request.headers.get("Upgrade", "").lower()
            if upgrade == "spdy/3.1":
                return await self._over_spdy(request, wish)
            if upgrade == "websocket" and kind != "portforward":
                return await self._over_websocket(request, wish)
        except ApiError as error:
            return web.json_response(error.status(), status=error.http)
        return web.Response(status=HTTPStatus.BAD_REQUEST, text="unable to upgrade request")

    async def _over_spdy(self, request: web.Request, wish: Wish) -> web.StreamResponse:
        served = FORWARD_PROTOCOLS if wish.kind == "portforward" else COMMAND_PROTOCOLS
        chosen = _negotiate(request, served)
        if not chosen:
            accepted = {"X-Accepted-Stream-Protocol-Versions": ", ".join(served)}
            return web.Response(status=HTTPStatus.FORBIDDEN, headers=accepted)
        head = (
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
            f"X-Stream-Protocol-Version: {chosen}\r\n\r\n"
        )
        async with hijack(request, head.encode()) as (reader, writer):
            streams: asyncio.Queue[Stream | None] = asyncio.Queue(ACCEPTED_WAITING_MAX)
            connection = Connection(reader, writer, streams)
            async with asyncio.TaskGroup() as group:
                receiving = group.create_task(connection.run())
                working = group.create_task(self._work(wish, streams, chosen))
                # Who goes away ends a command, and his ports end by themselves.
                await asyncio.wait([receiving, working], return_when=asyncio.FIRST_COMPLETED)
                working.cancel()
                # It is the client who hangs up: what he has not read yet would be lost.
                await asyncio.wait([receiving], timeout=GRACE_SECONDS)
                receiving.cancel()
            await connection.close()
        return Hijacked(HTTPStatus.SWITCHING_PROTOCOLS)

    async def _work(self, wish: Wish, streams: asyncio.Queue[Stream | None], protocol: str) -> None:
        if wish.kind == "portforward":
            netns = self._records.sandbox(wish.id).netns
            await forward(streams, lambda port: self._connect(netns, port))
            return
        with contextlib.suppress(BadRequest):
            session = await SpdySession.accept(
                streams,
                _named(wish, sized=protocol != "v2.channel.k8s.io") | {"error"},
                plain_errors=protocol != "v4.channel.k8s.io",
            )
            await session.finish(await self._run(wish, session))

    async def _over_websocket(self, request: web.Request, wish: Wish) -> web.StreamResponse:
        socket = web.WebSocketResponse(
            protocols=SOCKET_PROTOCOLS,
            heartbeat=PING_SECONDS,
            max_msg_size=MESSAGE_BYTES_MAX,
            compress=False,
        )
        await socket.prepare(request)
        session = WebSocketSession(socket, _named(wish, sized=True))
        async with asyncio.TaskGroup() as group:
            receiving = group.create_task(session.run())
            working = group.create_task(self._finish(wish, session))
            await asyncio.wait([receiving, working], return_when=asyncio.FIRST_COMPLETED)
            working.cancel()
            receiving.cancel()
        await socket.close()
        return socket

    async def _finish(self, wish: Wish, session: Session) -> None:
        await session.finish(await self._run(wish, session))

    async def _run(self, wish: Wish, session: Session) -> dict[str, Any]:
        try:
            if wish.kind == "attach":
                await self._attach(wish, session)
                return statuses.SUCCESS
            code = await self._commands.interact(wish.id, wish.command, wish.streams, session)
        except ApiError as error:
            return statuses.of_failure(error.message)
        return statuses.of_exit(code)

    async def _attach(self, wish: Wish, session: Session) -> None:
        """Until the process ends; what it reads goes on with the next client, unless stdinOnce."""
        once = self._records.container(wish.id).config.stdin_once
        async with (
            self._logs.attach(wish.id, wish.streams) as (attached, stdin),
            asyncio.TaskGroup() as group,
        ):
            inputs = [
                group.create_task(self._feed(wish.id, session, stdin, once=once)),
                group.create_task(self._resize(wish.id, session)),
            ]
            async for stream, chunk in attached.chunks():
                await session.write(stream, chunk)
            for task in inputs:
                task.cancel()

    async def _feed(
        self, container_id: str, session: Session, stdin: Sink | None, *, once: bool
    ) -> None:
        if stdin is None:
            return
        try:
            async for chunk in session.stdin():
                await stdin.write(chunk)
        finally:
            if once:
                stdin.close()
        if once:
            with contextlib.suppress(ApiError):
                await self._processes.close_stdin(container_id)

    async def _resize(self, container_id: str, session: Session) -> None:
        async for width, height in session.sizes():
            with contextlib.suppress(ApiError):
                await self._processes.resize(container_id, "", width, height)


def _named(wish: Wish, *, sized: bool) -> frozenset[str]:
    """The streams that a client of this wish has, besides ``error``."""
    found = wish.streams - {"tty"}
    return found | {"resize"} if sized and "tty" in wish.streams else found


def _checked(streams: frozenset[str]) -> frozenset[str]:
    if not streams & {"stdin", "stdout", "stderr"}:
        raise BadRequest("one of stdin, stdout, or stderr must be set")
    if {"tty", "stderr"} <= streams:
        raise BadRequest("tty and stderr cannot both be true")
    return streams


def _negotiate(request: web.Request, served: Sequence[str]) -> str:
    offered = [
        name.strip()
        for header in request.headers.getall("X-Stream-Protocol-Version", [])
        for name in header.split(",")
    ]
    return next((name for name in served if name in offered), "")
