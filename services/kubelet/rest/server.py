"""The node's HTTPS server: logs, exec, attach, port-forward; for the API server alone.

A client needs a certificate of our authority to connect at all, and one of the names in
``ALLOWED`` to be answered.
"""

import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web

from pilothouse.services.kubelet.config import Serving
from pilothouse.services.kubelet.rest.streaming import Streaming
from pilothouse.services.kubelet.workers.pods import Pods
from pilothouse.services.machinery.errors import ApiError
from pilothouse.services.runtime import telemetry

ALLOWED = frozenset({"kube-apiserver-kubelet-client"})
SHUTDOWN_SECONDS = 1.0

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def context_of(serving: Serving) -> ssl.SSLContext:
    """TLS 1.2 or later, client certificate required."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(serving.identity.certificate, serving.identity.key)
    context.load_verify_locations(serving.identity.authority)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def _name_of(request: web.Request) -> str:
    """The common name of the client's certificate."""
    transport = request.transport
    certificate = transport.get_extra_info("peercert") if transport is not None else None
    for part in (certificate or {}).get("subject", ()):
        for key, value in part:
            if key == "commonName":
                return str(value)
    return ""


@web.middleware
async def _authorize(request: web.Request, handler: Answer) -> web.StreamResponse:
    name = _name_of(request)
    if name not in ALLOWED:
        return web.Response(status=403, text=f"Forbidden (user={name})\n")
    return await handler(request)


@web.middleware
async def _translate(request: web.Request, handler: Answer) -> web.StreamResponse:
    try:
        return await handler(request)
    except ApiError as error:
        return web.Response(status=error.http, text=error.message)
    except web.HTTPException:
        raise
    except ConnectionError:
        raise
    except Exception as error:
        telemetry.logger(part="rest").error("request failed", path=request.path, exc_info=error)
        raise


def application(pods: Pods, streaming: Streaming) -> web.Application:
    """The routes."""
    made = web.Application(middlewares=[_authorize, _translate])
    inside = "/{namespace}/{pod}/{container}"
    made.add_routes(
        [
            web.get("/healthz", _healthz),
            web.get("/pods", _Listing(pods).answer),
            web.get(f"/containerLogs{inside}", streaming.logs),
        ]
    )
    for method in ("GET", "POST"):
        made.router.add_route(method, f"/exec{inside}", streaming.exec)
        made.router.add_route(method, f"/attach{inside}", streaming.attach)
        made.router.add_route(method, "/portForward/{namespace}/{pod}", streaming.forward)
    return made


async def _healthz(request: web.Request) -> web.Response:
    return web.Response(text="ok")


class _Listing:
    def __init__(self, pods: Pods) -> None:
        self._pods = pods

    async def answer(self, request: web.Request) -> web.Response:
        """The pods of this node as a PodList, without their specs."""
        items = [
            {
                "metadata": {
                    "name": worker.pod.metadata.name,
                    "namespace": worker.pod.metadata.namespace,
                    "uid": worker.pod.uid,
                },
                "status": worker.status,
            }
            for worker in self._pods.workers()
        ]
        body = {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items}
        return web.json_response(body)


@contextlib.asynccontextmanager
async def serve(serving: Serving | None, pods: Pods, streaming: Streaming) -> AsyncIterator[None]:
    """Listen until the block ends; without ``serving`` there is no server."""
    if serving is None:
        yield
        return
    runner = web.AppRunner(
        application(pods, streaming), access_log=None, shutdown_timeout=SHUTDOWN_SECONDS
    )
    await runner.setup()
    site = web.TCPSite(
        runner,
        serving.address,
        serving.port,
        ssl_context=context_of(serving),
        reuse_address=True,
    )
    await site.start()
    try:
        yield
    finally:
        await runner.cleanup()
