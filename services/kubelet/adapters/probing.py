"""Carry out probes and hooks: HTTP, TCP, gRPC, commands."""

import asyncio
import contextlib

import aiohttp
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from pilothouse.services.kubelet.pod import probes
from pilothouse.services.kubelet.pod.observed import Container as Observed
from pilothouse.services.kubelet.pod.probes import Outcome
from pilothouse.services.kubelet.pod.views import Container, Hook, HttpGetAction, Probe
from pilothouse.services.kubelet.ports import Commands
from pilothouse.services.machinery.errors import ApiError
from pilothouse.services.runtime.clock import Clock

BODY_BYTES_MAX = 10 * 1024
OUTPUT_BYTES_MAX = 1024
HOOK_SECONDS_MAX = 24 * 3600
USER_AGENT = "kube-probe/1.37"
HTTP_OK = range(200, 400)


class NodeProbing:
    """Probes from the node itself; each attempt uses a new connection."""

    def __init__(self, commands: Commands, clock: Clock) -> None:
        self._commands = commands
        self._clock = clock

    async def check(
        self, probe: Probe, container: Container, running: Observed, ip: str
    ) -> Outcome:
        """One attempt; never raises but on cancellation."""
        limit = max(probe.timeout_seconds, 1)
        try:
            async with asyncio.timeout(limit):
                return await self._attempt(probe, container, running, ip)
        except TimeoutError:
            return Outcome(passed=False, message=f"timed out after {limit}s")
        except (OSError, aiohttp.ClientError, ApiError) as error:
            return Outcome(passed=False, message=str(error))

    async def _attempt(
        self, probe: Probe, container: Container, running: Observed, ip: str
    ) -> Outcome:
        if probe.exec is not None:
            return await self._run(running.id, probe.exec.command, probe.timeout_seconds)
        if probe.http_get is not None:
            return await _get(probe.http_get, container, ip)
        if probe.tcp_socket is not None:
            port = probes.port_of(container, probe.tcp_socket.port)
            return await _connect(probe.tcp_socket.host or ip, port)
        if probe.grpc is not None:
            return await _ask(f"{ip}:{probe.grpc.port}", probe.grpc.service)
        return Outcome(passed=True)

    async def hook(self, hook: Hook, container: Container, running: Observed, ip: str) -> Outcome:
        """Carry out a lifecycle hook to its end."""
        try:
            if hook.sleep is not None:
                await self._clock.sleep(hook.sleep.seconds)
            elif hook.exec is not None:
                return await self._run(running.id, hook.exec.command, HOOK_SECONDS_MAX)
            elif hook.http_get is not None:
                # As in Kubernetes, whoever was told may answer as it likes.
                await _get(hook.http_get, container, ip)
        except (OSError, aiohttp.ClientError, ApiError) as error:
            return Outcome(passed=False, message=str(error))
        return Outcome(passed=True)

    async def _run(self, id_: str, command: tuple[str, ...], limit: int) -> Outcome:
        ran = await self._commands.run(id_, command, limit)
        text = ran.output[:OUTPUT_BYTES_MAX].decode(errors="replace")
        return Outcome(ran.exit_code == 0, text)


async def _get(action: HttpGetAction, container: Container, ip: str) -> Outcome:
    url = probes.url_of(container, action, ip)
    headers = {"User-Agent": USER_AGENT, "Accept": "*/*"}
    headers |= {header.name: header.value for header in action.http_headers}
    connector = aiohttp.TCPConnector(ssl=False, force_close=True)
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.get(url, headers=headers, allow_redirects=False) as answer,
    ):
        await answer.content.read(BODY_BYTES_MAX)
        if answer.status in HTTP_OK:
            return Outcome(passed=True)
        message = f"HTTP probe failed with statuscode: {answer.status}"
        return Outcome(passed=False, message=message)


async def _connect(host: str, port: int) -> Outcome:
    _, writer = await asyncio.open_connection(host, port)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return Outcome(passed=True)


async def _ask(address: str, service: str) -> Outcome:
    async with aio.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
        except aio.AioRpcError as error:
            return Outcome(passed=False, message=error.details() or error.code().name)
    serving = health_pb2.HealthCheckResponse.SERVING
    name = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
    return Outcome(answer.status == serving, f"service unhealthy (responded with {name!r})")
