"""The node's HTTPS server: logs, exec, attach, port-forward, figures, and what the kubelet knows.

Whoever connects is asked for a certificate and may show none: :mod:`.access` judges each request.
"""

import contextlib
import ssl
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from aiohttp import web

from pilothouse.services.kubelet.config import Serving
from pilothouse.services.kubelet.metrics.meters import Meters
from pilothouse.services.kubelet.rest.access import Answer, Door
from pilothouse.services.machinery.errors import ApiError
from pilothouse.services.runtime import telemetry
from pilothouse.services.runtime.clientcerts import defer
from pilothouse.services.runtime.clock import Clock

SHUTDOWN_SECONDS = 1.0
LONG = frozenset({"exec", "attach", "portforward", "debug"})
METHODS = frozenset({"OPTIONS", "GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "CONNECT"})
DEBUGGING = (
    "/run", "/exec", "/attach", "/portForward", "/containerLogs", "/runningpods", "/logs",
)  # fmt: skip


class Room(Protocol):
    """Some of the routes."""

    def add(self, router: web.UrlDispatcher, /) -> None: ...


def context_of(serving: Serving, least: str = "") -> ssl.SSLContext:
    """Any client certificate is taken; ``least`` is tlsMinVersion (VersionTLS12, VersionTLS13)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    newest = ssl.TLSVersion.TLSv1_3
    context.minimum_version = newest if least == "VersionTLS13" else ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(serving.identity.certificate, serving.identity.key)
    context.load_verify_locations(serving.identity.authority)
    defer(context)
    return context


class _Around:
    """What is done about every request: it is counted, let in, and its errors are told."""

    def __init__(self, door: Door | None, meters: Meters, clock: Clock) -> None:
        self._door = door
        self._meters = meters
        self._clock = clock
        self._kind = "readonly" if door is None else "readwrite"

    @web.middleware
    async def count(self, request: web.Request, handler: Answer) -> web.StreamResponse:
        root = _root(request)
        method = request.method if request.method in METHODS else "other"
        labels = (str(root in LONG).lower(), method, root, self._kind)
        began = self._clock.monotonic()
        self._meters.http_requests.add(*labels)
        self._meters.http_inflight.add(*labels)
        try:
            return await handler(request)
        finally:
            self._meters.http_inflight.add(*labels, by=-1.0)
            self._meters.http_seconds.observe(self._clock.monotonic() - began, *labels)

    @web.middleware
    async def authorize(self, request: web.Request, handler: Answer) -> web.StreamResponse:
        refusal = None if self._door is None else await self._door.check(request)
        return refusal or await handler(request)

    @web.middleware
    async def translate(self, request: web.Request, handler: Answer) -> web.StreamResponse:
        try:
            return await handler(request)
        except ApiError as error:
            return web.Response(status=error.http, text=error.message)
        except (web.HTTPException, ConnectionError):
            raise
        except Exception as error:
            telemetry.logger(part="rest").error("request failed", path=request.path, exc_info=error)
            raise


def _root(request: web.Request) -> str:
    """The first part of a path that is served, two of ``/metrics/…``; ``other`` else."""
    resource = request.match_info.route.resource
    if resource is None:
        return "other"
    first, *others = resource.canonical.lstrip("/").split("/")
    return f"{first}/{others[0]}" if first == "metrics" and others else first


def application(
    door: Door | None, rooms: Sequence[Room], meters: Meters, clock: Clock
) -> web.Application:
    """All routes; without a door anybody may use them."""
    outer = _Around(door, meters, clock)
    made = web.Application(middlewares=[outer.count, outer.authorize, outer.translate])
    for room in rooms:
        room.add(made.router)
    return made


class Debuggable(Protocol):
    """A room with routes that ``enableDebuggingHandlers`` shuts."""

    def add_debugging(self, router: web.UrlDispatcher, /) -> None: ...


class Debugging:
    """Those routes."""

    def __init__(self, room: Debuggable) -> None:
        self._room = room

    def add(self, router: web.UrlDispatcher) -> None:
        """Open them."""
        self._room.add_debugging(router)


class Shut:
    """A path whose routes are shut: 405 and why."""

    def __init__(self, path: str, why: str) -> None:
        self._path = path
        self._why = why

    def add(self, router: web.UrlDispatcher) -> None:
        """Every method is refused."""
        router.add_route("*", f"{self._path}{{rest:(/.*)?}}", self._refuse)

    async def _refuse(self, request: web.Request) -> web.Response:
        return web.Response(status=405, text=f"{self._why}\n")


@contextlib.asynccontextmanager
async def serve(
    serving: Serving | None, made: web.Application, least: str = ""
) -> AsyncIterator[ssl.SSLContext | None]:
    """Listen until the block ends, which has the context to change certificates in.

    Without ``serving`` there is no server.
    """
    if serving is None:
        yield None
        return
    context = context_of(serving, least)
    runner = web.AppRunner(made, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    site = web.TCPSite(
        runner,
        serving.address,
        serving.port,
        ssl_context=context,
        reuse_address=True,
    )
    await site.start()
    try:
        yield context
    finally:
        await runner.cleanup()
