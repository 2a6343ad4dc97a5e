"""What is relayed to a pod's node: logs, exec, attach and port forwarding."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias
from urllib.parse import parse_qsl, quote

import msgspec
from aiohttp import web

from pilothouse.services.apiserver.adapters.kubelet import Kubelets, Place
from pilothouse.services.apiserver.chain.ports import Live
from pilothouse.services.apiserver.requests import Target
from pilothouse.services.apiserver.rest.exchange import Exchange
from pilothouse.services.apiserver.rest.paths import TRUE
from pilothouse.services.apiserver.rest.proxying import Proxies
from pilothouse.services.apiserver.rest.relaying import relay
from pilothouse.services.apiserver.rest.replies import encode
from pilothouse.services.machinery.errors import (
    ApiError,
    BadRequest,
    InternalError,
    NotFound,
    Subject,
)
from pilothouse.services.machinery.objects import Key, View

Stream: TypeAlias = Callable[[Exchange, Target], Awaitable[web.StreamResponse]]

KUBELET_PORT = 10250
PORT_MAX = 65535
CHUNK_BYTES = 64 * 1024
PING_SECONDS = 30.0
MESSAGE_BYTES_MAX = 16 * 1024 * 1024
ERROR_CHANNEL = b"\x03"
EXEC_PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
FORWARD_PROTOCOLS = ("SPDY/3.1+portforward.k8s.io", "v4.channel.k8s.io")
_LOG_NUMBERS = ("limitBytes", "sinceSeconds", "tailLines")
_LOG_FLAGS = ("follow", "previous", "timestamps")
# The API's names of what is attached, and the kubelet's.
_ATTACHED = (("stdin", "input"), ("stdout", "output"), ("stderr", "error"), ("tty", "tty"))


class _Container(View, frozen=True, kw_only=True):
    name: str


class _Spec(View, frozen=True, kw_only=True):
    node_name: str = ""
    containers: tuple[_Container, ...] = ()
    init_containers: tuple[_Container, ...] = ()
    ephemeral_containers: tuple[_Container, ...] = ()


class _PodStatus(View, frozen=True, kw_only=True):
    phase: str = ""


class _Pod(View, frozen=True, kw_only=True):
    spec: _Spec = _Spec()
    status: _PodStatus = _PodStatus()


class _Address(View, frozen=True, kw_only=True):
    type: str
    address: str


class _Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    port: int = msgspec.field(name="Port", default=KUBELET_PORT)


class _Endpoints(View, frozen=True, kw_only=True):
    kubelet_endpoint: _Endpoint = _Endpoint()


class _NodeStatus(View, frozen=True, kw_only=True):
    addresses: tuple[_Address, ...] = ()
    daemon_endpoints: _Endpoints = _Endpoints()


class _Node(View, frozen=True, kw_only=True):
    status: _NodeStatus = _NodeStatus()


class NodeStreams:
    """Finds the node behind a pod and relays."""

    def __init__(self, live: Live, kubelets: Kubelets, proxies: Proxies) -> None:
        self._live = live
        self._kubelets = kubelets
        self._streams: dict[tuple[str, str], Stream] = {
            ("pods", "log"): self._log,
            ("pods", "exec"): self._exec,
            ("pods", "attach"): self._attach,
            ("pods", "portforward"): self._forward,
            ("pods", "proxy"): proxies.pod,
            ("services", "proxy"): proxies.service,
            ("nodes", "proxy"): proxies.node,
        }

    def find(self, target: Target) -> Stream | None:
        """How to serve this target; None where it is no stream."""
        if target.group or not target.subresource:
            return None
        return self._streams.get((target.plural, target.subresource))

    async def _log(self, exchange: Exchange, target: Target) -> web.StreamResponse:
        pod = self._pod(target)
        container = _container_of(target, pod, exchange.query.get("container", ""))
        parameters = _log_parameters(exchange)
        headers = {"Content-Type": "text/plain"}
        if not pod.spec.node_name:
            return web.Response(body=b"", headers=headers)
        place = self._place(pod.spec.node_name)
        path = _path("containerLogs", target, container)
        async with self._kubelets.get(place, path, parameters) as answer:
            response = web.StreamResponse(headers=headers)
            response.enable_chunked_encoding()
            await response.prepare(exchange.request)
            async for chunk in answer.content.iter_chunked(CHUNK_BYTES):
                await response.write(chunk)
            await response.write_eof()
            return response

    async def _exec(self, exchange: Exchange, target: Target) -> web.StreamResponse:
        commands = [("command", word) for word in _all(exchange, "command")]
        if not commands:
            raise BadRequest("you must specify at least 1 command for the container")
        return await self._interactive(exchange, target, "exec", commands)

    async def _attach(self, exchange: Exchange, target: Target) -> web.StreamResponse:
        return await self._interactive(exchange, target, "attach", [])

    async def _interactive(
        self, exchange: Exchange, target: Target, verb: str, parameters: list[tuple[str, str]]
    ) -> web.StreamResponse:
        query = exchange.query
        attached = [(theirs, "1") for ours, theirs in _ATTACHED if query.get(ours, "") in TRUE]
        if not any(name != "tty" for name, _ in attached):
            raise BadRequest("you must specify at least 1 of stdin, stdout, stderr")
        pod = self._pod(target)
        container = _container_of(target, pod, query.get("container", ""))
        path = _path(verb, target, container)
        place = self._running_place(target, pod)
        return await self._relay(exchange, place, path, [*parameters, *attached], EXEC_PROTOCOLS)

    async def _forward(self, exchange: Exchange, target: Target) -> web.StreamResponse:
        pod = self._pod(target)
        place = self._running_place(target, pod)
        ports = [("port", port) for port in _all(exchange, "ports")]
        path = _path("portForward", target)
        return await self._relay(exchange, place, path, ports, FORWARD_PROTOCOLS)

    async def _relay(
        self,
        exchange: Exchange,
        place: Place,
        path: str,
        parameters: Sequence[tuple[str, str]],
        served: Sequence[str],
    ) -> web.StreamResponse:
        offered = _offered(exchange.request, served)
        try:
            async with self._kubelets.dial(place, path, parameters, offered) as kubelet:
                response = _upgraded(kubelet.protocol or "")
                await response.prepare(exchange.request)
                await relay(response, kubelet)
                return response
        except ApiError as error:
            if offered[0] not in EXEC_PROTOCOLS:
                raise
            return await _tell(exchange.request, offered[0], error)

    def _pod(self, target: Target) -> _Pod:
        stored = self._live.find("", "pods", target.key)
        if stored is None:
            raise NotFound(
                f'pods "{target.name}" not found', subject=Subject(kind="pods", name=target.name)
            )
        return msgspec.json.decode(stored.json, type=_Pod)

    def _running_place(self, target: Target, pod: _Pod) -> Place:
        if not pod.spec.node_name:
            raise BadRequest(f"pod {target.name} does not have a host assigned")
        if pod.status.phase in ("Succeeded", "Failed"):
            raise InternalError(
                "cannot exec into a container in a completed pod; current phase is "
                + pod.status.phase
            )
        return self._place(pod.spec.node_name)

    def _place(self, node: str) -> Place:
        stored = self._live.find("", "nodes", Key("", node))
        if stored is None:
            raise NotFound(f'nodes "{node}" not found', subject=Subject(kind="nodes", name=node))
        status = msgspec.json.decode(stored.json, type=_Node).status
        address = next((each.address for each in status.addresses if each.type == "InternalIP"), "")
        port = status.daemon_endpoints.kubelet_endpoint.port
        if not address or not 0 < port <= PORT_MAX:
            raise InternalError(f'node "{node}" has told no address of its kubelet')
        return Place(node, address, port)


def _upgraded(protocol: str) -> web.WebSocketResponse:
    return web.WebSocketResponse(
        protocols=(protocol,),
        heartbeat=PING_SECONDS,
        max_msg_size=MESSAGE_BYTES_MAX,
        compress=False,
    )


async def _tell(request: web.BaseRequest, protocol: str, error: ApiError) -> web.StreamResponse:
    """Upgrade only to tell of the error, on its own channel.

    To a refused upgrade kubectl answers by trying SPDY, and would show that refusal instead.
    """
    response = _upgraded(protocol)
    await response.prepare(request)
    await response.send_bytes(ERROR_CHANNEL + encode(error.status()))
    await response.close()
    return response


def _all(exchange: Exchange, name: str) -> list[str]:
    pairs = parse_qsl(exchange.request.raw_path.partition("?")[2], keep_blank_values=True)
    return [value for key, value in pairs if key == name]


def _path(verb: str, target: Target, *rest: str) -> str:
    return "/".join(
        ["", verb, *(quote(part, safe="") for part in (target.namespace, target.name, *rest))]
    )


def _offered(request: web.BaseRequest, served: Sequence[str]) -> list[str]:
    """The protocols that both the client and we speak."""
    upgrade = request.headers.get("Upgrade", "").lower()
    if upgrade.startswith("spdy"):
        raise BadRequest(
            "SPDY is not served: use a client that upgrades to WebSocket (kubectl 1.31 or later)"
        )
    if upgrade != "websocket":
        raise BadRequest("Upgrade request required")
    asked = [
        name.strip()
        for header in request.headers.getall("Sec-WebSocket-Protocol", [])
        for name in header.split(",")
    ]
    both = [name for name in asked if name in served]
    if not both:
        raise BadRequest(f"none of the protocols {asked} is served; served are {list(served)}")
    return both


def _container_of(target: Target, pod: _Pod, asked: str) -> str:
    spec = pod.spec
    every = (*spec.containers, *spec.init_containers, *spec.ephemeral_containers)
    if asked:
        if all(container.name != asked for container in every):
            raise BadRequest(f"container {asked} is not valid for pod {target.name}")
        return asked
    names = [container.name for container in spec.containers]
    if len(names) == 1:
        return names[0]
    message = (
        f"a container name must be specified for pod {target.name}, choose one of: "
        f"[{' '.join(names)}]"
    )
    if spec.init_containers:
        initial = " ".join(container.name for container in spec.init_containers)
        message += f" or one of the init containers: [{initial}]"
    raise BadRequest(message)


def _log_parameters(exchange: Exchange) -> list[tuple[str, str]]:
    query = exchange.query
    if query.get("insecureSkipTLSVerifyBackend", "") in TRUE:
        raise BadRequest("insecureSkipTLSVerifyBackend is refused: kubelets are always verified")
    parameters = [(name, "true") for name in _LOG_FLAGS if query.get(name, "") in TRUE]
    for name in _LOG_NUMBERS:
        value = query.get(name, "")
        if value:
            if not value.isdecimal():
                raise BadRequest(f"{name} must be a whole number that is not negative")
            parameters.append((name, value))
    if query.get("sinceTime"):
        parameters.append(("sinceTime", query["sinceTime"]))
    return parameters
