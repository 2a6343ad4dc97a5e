"""Carry out probes and hooks: HTTP, TCP, gRPC, commands."""

import asyncio
import contextlib
import os
from collections.abc import Sequence

import aiohttp
import grpc
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from yarl import URL

from pilothouse.services.kubelet.pod import probes
from pilothouse.services.kubelet.pod.observed import Container as Observed
from pilothouse.services.kubelet.pod.probes import Outcome
from pilothouse.services.kubelet.pod.views import Container, Hook, HttpGetAction, Probe
from pilothouse.services.kubelet.ports import Commands
from pilothouse.services.machinery.errors import ApiError
from pilothouse.services.runtime.clock import Clock

BODY_BYTES_MAX = 10 * 1024
OUTPUT_BYTES_MAX = 10 * 1024
HOOK_SECONDS_MAX = 24 * 3600
REDIRECTS_MAX = 10
PROBE_AGENT = "kube-probe/1.37"
HOOK_AGENT = "kube-lifecycle/1.37"
_WELL, _REDIRECT, _FAILED = 200, 300, 400
_UNANSWERED = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"


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
            if probe.exec is not None:
                return await self._run_probe(running.id, probe.exec.command, limit)
            if probe.http_get is not None:
                return await _get(probe.http_get, container, ip, limit)
            if probe.tcp_socket is not None:
                port = probes.port_of(container, probe.tcp_socket.port)
                return await _connect(probe.tcp_socket.host or ip, port, limit)
            if probe.grpc is not None:
                return await _ask(_address(ip, probe.grpc.port), probe.grpc.service, limit)
        except (OSError, ApiError) as error:
            return Outcome(passed=False, message=str(error))
        return Outcome(passed=True)

    async def _run_probe(self, id_: str, command: Sequence[str], limit: int) -> Outcome:
        try:
            async with asyncio.timeout(limit):
                return await self._run(id_, command, limit)
        except TimeoutError:
            text = f'command timed out: "{" ".join(command)}" timed out after {limit}s'
            return Outcome(passed=False, message=text)

    async def hook(self, hook: Hook, container: Container, running: Observed, ip: str) -> Outcome:
        """Carry out a lifecycle hook to its end."""
        try:
            if hook.sleep is not None:
                await self._clock.sleep(hook.sleep.seconds)
            elif hook.exec is not None:
                return await self._run(running.id, hook.exec.command, HOOK_SECONDS_MAX)
            elif hook.http_get is not None:
                # As in Kubernetes, whoever was told may answer as it likes.
                await _fetch(hook.http_get, container, ip, HOOK_AGENT)
        except (OSError, aiohttp.ClientError, ApiError) as error:
            return Outcome(passed=False, message=str(error))
        return Outcome(passed=True)

    async def _run(self, id_: str, command: Sequence[str], limit: int) -> Outcome:
        ran = await self._commands.run(id_, command, limit)
        text = ran.output[:OUTPUT_BYTES_MAX].decode(errors="replace")
        return Outcome(ran.exit_code == 0, text)


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def _get(action: HttpGetAction, container: Container, ip: str, limit: int) -> Outcome:
    """Passed with 2xx; with 3xx too, where the redirection leads to another host."""
    url = probes.url_of(container, action, ip)
    try:
        async with asyncio.timeout(limit):
            status, body = await _fetch(action, container, ip, PROBE_AGENT)
    except TimeoutError:
        return Outcome(passed=False, message=f'Get "{url}": {_UNANSWERED}')
    except aiohttp.ClientConnectorError as error:
        address = _address(error.host, error.port or 0)
        text = f'Get "{url}": dial tcp {address}: connect: {_in_words(error.os_error)}'
        return Outcome(passed=False, message=text)
    except aiohttp.ClientError as error:
        return Outcome(passed=False, message=f'Get "{url}": {error}')
    if _WELL <= status < _REDIRECT:
        return Outcome(passed=True)
    if _REDIRECT <= status < _FAILED:
        text = f"Probe terminated redirects, Response body: {body}"
        return Outcome(passed=True, message=text, is_odd=True)
    return Outcome(passed=False, message=f"HTTP probe failed with statuscode: {status}")


async def _fetch(
    action: HttpGetAction, container: Container, ip: str, agent: str
) -> tuple[int, str]:
    """Status and body; redirections are followed as long as they stay on the host."""
    url = URL(probes.url_of(container, action, ip), encoded=True)
    headers = {"User-Agent": agent, "Accept": "*/*"}
    headers |= {header.name: header.value for header in action.http_headers}
    connector = aiohttp.TCPConnector(ssl=False, force_close=True)
    async with aiohttp.ClientSession(connector=connector) as session:
        for _ in range(REDIRECTS_MAX):
            async with session.get(url, headers=headers, allow_redirects=False) as answer:
                body = (await answer.content.read(BODY_BYTES_MAX)).decode(errors="replace")
                location = answer.headers.get("Location")
                if not _REDIRECT <= answer.status < _FAILED or not location:
                    return answer.status, body
                target = url.join(URL(location))
                if target.host != url.host:
                    return answer.status, body
                url = target
    raise aiohttp.ClientError(f"stopped after {REDIRECTS_MAX} redirects")


async def _connect(host: str, port: int, limit: int) -> Outcome:
    address = _address(host, port)
    try:
        async with asyncio.timeout(limit):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return Outcome(passed=False, message=f"dial tcp {address}: i/o timeout")
    except OSError as error:
        text = f"dial tcp {address}: connect: {_in_words(error)}"
        return Outcome(passed=False, message=text)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return Outcome(passed=True)


def _in_words(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno else str(error)


async def _ask(address: str, service: str, limit: int) -> Outcome:
    """What ``grpc.health.v1.Health`` at ``address`` says of ``service``."""
    options = (("grpc.primary_user_agent", PROBE_AGENT), ("grpc.use_local_subchannel_pool", 1))
    async with aio.insecure_channel(address, options=options) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest(service=service)
        try:
            answer = await stub.Check(request, timeout=limit)
        except aio.AioRpcError as error:
            return Outcome(passed=False, message=_told(error, address, limit))
    if answer.status == health_pb2.HealthCheckResponse.SERVING:
        return Outcome(passed=True)
    name = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
    return Outcome(passed=False, message=f'service unhealthy (responded with "{name}")')


def _told(error: aio.AioRpcError, address: str, limit: int) -> str:
    match error.code():
        case grpc.StatusCode.UNAVAILABLE:
            text = f'timeout: failed to connect service "{address}" within {limit}s'
            return f"{text}: context deadline exceeded"
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return f"timeout: health rpc did not complete within {limit}s"
        case grpc.StatusCode.UNIMPLEMENTED:
            protocol = "the grpc health protocol (grpc.health.v1.Health)"
            return f"error: this server does not implement {protocol}: {error.details()}"
    return f"error: health rpc probe failed: {error.details()}"
