"""Probes against real servers on the loopback: what passes, what fails, and in which words."""

import asyncio
import contextlib
import socket

import msgspec
import pytest
from aiohttp import web
from grpc import aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from pilothouse.services.kubelet.adapters.probing import NodeProbing
from pilothouse.services.kubelet.pod.observed import Container as Running
from pilothouse.services.kubelet.pod.views import Container, Hook, Probe
from pilothouse.services.kubelet.ports import Ran
from pilothouse.services.machinery.errors import ApiError
from pilothouse.services.runtime.clock import SystemClock

HOST = "127.0.0.1"
RUNNING = Running("id", "c", 0, "s", "running")
CONTAINER = msgspec.convert({"name": "c", "image": "x"}, Container)


class FakeCommands:
    """Runs ``true``, ``false`` and ``hang``."""

    async def run(self, id_, command, timeout_seconds):
        match command[0]:
            case "true":
                return Ran(0, b"fine")
            case "false":
                return Ran(1, b"no such file\n")
            case "hang":
                await asyncio.Event().wait()
        raise ApiError("no such container")


@pytest.fixture
def probing():
    return NodeProbing(FakeCommands(), SystemClock())


async def check(probing, **action):
    probe = msgspec.convert({"timeoutSeconds": 1, **action}, Probe)
    return await probing.check(probe, CONTAINER, RUNNING, HOST)


def free_port() -> int:
    with socket.socket() as one:
        one.bind((HOST, 0))
        return one.getsockname()[1]


@contextlib.asynccontextmanager
async def web_server():
    seen, over = [], asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        seen.append(request)
        match request.path:
            case "/hang":
                await over.wait()
            case "/here":
                raise web.HTTPFound("/ok")
            case "/circle":
                raise web.HTTPFound("/circle")
            case "/elsewhere":
                return web.Response(
                    status=302, text="to there", headers={"Location": "http://0.0.0.0/"}
                )
        return web.Response(status=int(request.query.get("status", "200")))

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, HOST, port).start()
    try:
        yield port, seen
    finally:
        over.set()
        await runner.cleanup()


async def test_http(probing):
    async with web_server() as (port, seen):
        for path, passed, message in (
            ("/ok", True, ""),
            ("/ok?status=404", False, "HTTP probe failed with statuscode: 404"),
            ("/here", True, ""),
            ("/elsewhere", True, "Probe terminated redirects, Response body: to there"),
            ("/circle", False, f'Get "http://{HOST}:{port}/circle": stopped after 10 redirects'),
            ("/hang", False, f'Get "http://{HOST}:{port}/hang": context deadline exceeded '
             "(Client.Timeout exceeded while awaiting headers)"),
        ):  # fmt: skip
            found = await check(probing, httpGet={"port": port, "path": path})
            assert (found.passed, found.message) == (passed, message), path
            assert found.is_odd == (path == "/elsewhere")
        headers = [{"name": "X-Own", "value": "1"}, {"name": "Host", "value": "a.example"}]
        await check(probing, httpGet={"port": port, "path": "/ok", "httpHeaders": headers})
        assert (seen[-1].headers["X-Own"], seen[-1].host) == ("1", "a.example")
        assert seen[-1].headers["User-Agent"].startswith("kube-probe/")
        hook = msgspec.convert({"httpGet": {"port": port, "path": "/ok?status=500"}}, Hook)
        assert (await probing.hook(hook, CONTAINER, RUNNING, HOST)).passed
        assert seen[-1].headers["User-Agent"].startswith("kube-lifecycle/")


async def test_nobody_listens(probing):
    port = free_port()
    refused = f"dial tcp {HOST}:{port}: connect: connection refused"
    found = await check(probing, httpGet={"port": port})
    assert found.message == f'Get "http://{HOST}:{port}/": {refused}'
    assert (await check(probing, tcpSocket={"port": port})).message == refused
    found = await check(probing, grpc={"port": port})
    assert found.message.startswith(f'timeout: failed to connect service "{HOST}:{port}" within 1s')


async def test_tcp(probing):
    async with web_server() as (port, _):
        assert (await check(probing, tcpSocket={"port": port})).passed


async def test_commands(probing):
    assert (await check(probing, exec={"command": ["true"]})).passed
    found = await check(probing, exec={"command": ["false"]})
    assert (found.passed, found.message) == (False, "no such file\n")
    found = await check(probing, exec={"command": ["hang", "on"]})
    assert found.message == 'command timed out: "hang on" timed out after 1s'
    assert (await check(probing, exec={"command": ["?"]})).message == "no such container"


async def test_grpc(probing):
    server, told = aio.server(), health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(told, server)
    port = server.add_insecure_port(f"{HOST}:0")
    statuses = health_pb2.HealthCheckResponse
    await told.set("", statuses.SERVING)
    await told.set("ill", statuses.NOT_SERVING)
    await server.start()
    try:
        assert (await check(probing, grpc={"port": port})).passed
        found = await check(probing, grpc={"port": port, "service": "ill"})
        assert found.message == 'service unhealthy (responded with "NOT_SERVING")'
        found = await check(probing, grpc={"port": port, "service": "unknown"})
        assert not found.passed
    finally:
        await server.stop(0)
    other = aio.server()
    port = other.add_insecure_port(f"{HOST}:0")
    await other.start()
    try:
        found = await check(probing, grpc={"port": port})
        assert found.message.startswith("error: this server does not implement the grpc health")
    finally:
        await other.stop(0)
