"""What is relayed to a pod's node: logs, exec, attach and port forwarding."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias
from urllib.parse import parse_qsl, quote

from multidict import CIMultiDict

from pilothouse.services.apiserver.adapters.backends import Asked, Backends, Dialled
from pilothouse.services.apiserver.adapters.kubelet import Kubelets, Place, refusal
from pilothouse.services.apiserver.chain.ports import Live
from pilothouse.services.apiserver.requests import Target
from pilothouse.services.apiserver.rest import channels
from pilothouse.services.apiserver.rest.channels import Form
from pilothouse.services.apiserver.rest.exchange import Exchange
from pilothouse.services.apiserver.rest.paths import TRUE
from pilothouse.services.apiserver.rest.places import Places, container_of
from pilothouse.services.apiserver.rest.podlogs import PodLogs
from pilothouse.services.apiserver.rest.proxying import Proxies
from pilothouse.services.apiserver.rest.relaying import relay
from pilothouse.services.apiserver.rest.replies import encode
from pilothouse.services.machinery.errors import ApiError, BadRequest
from pilothouse.services.runtime import web
from pilothouse.services.runtime.hijacking import Hijacked, carry, hijack

Stream: TypeAlias = Callable[[Exchange, Target], Awaitable[web.StreamResponse]]

PING_SECONDS = 30.0
MESSAGE_BYTES_MAX = 16 * 1024 * 1024
SWITCHING = 101
SPDY = "SPDY/3.1"
SPDY_PROTOCOL = "X-Stream-Protocol-Version"
# The API's names of what is attached, and the kubelet's.
_ATTACHED = (("stdin", "input"), ("stdout", "output"), ("stderr", "error"), ("tty", "tty"))


class NodeStreams:
    """Finds the node behind a pod and relays."""

    def __init__(self, live: Live, kubelets: Kubelets, backends: Backends) -> None:
        proxies = Proxies(live, kubelets, backends)
        self._places = Places(live)
        self._kubelets = kubelets
        self._backends = backends
        logs = PodLogs(self._places, kubelets)
        self._streams: dict[tuple[str, str], Stream] = {
            ("pods", "log"): logs.serve,
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
        pod = self._places.pod(target)
        container = container_of(target, pod, query.get("container", ""))
        path = _path(verb, target, container)
        place = self._places.of_running(target, pod)
        return await self._relay(exchange, place, path, [*parameters, *attached], channels.FORMS)

    async def _forward(self, exchange: Exchange, target: Target) -> web.StreamResponse:
        pod = self._places.pod(target)
        place = self._places.of_running(target, pod)
        ports = [("port", port) for port in _all(exchange, "ports")]
        path = _path("portForward", target)
        return await self._relay(exchange, place, path, ports, channels.PORTS)

    async def _relay(
        self,
        exchange: Exchange,
        place: Place,
        path: str,
        parameters: Sequence[tuple[str, str]],
        forms: Mapping[str, Form],
    ) -> web.StreamResponse:
        request = exchange.request
        if request.headers.get("Upgrade", "").lower().startswith("spdy/"):
            return await self._carry(request, place, path, parameters)
        form = _form(request, forms)
        try:
            async with self._kubelets.dial(place, path, parameters, [form.kubelet]) as kubelet:
                response = _upgraded(form)
                await response.prepare(request)
                await relay(response, kubelet, form)
                return response
        except ApiError as error:
            if forms is not channels.FORMS:
                raise
            return await _tell(request, form, error)

    async def _carry(
        self,
        request: web.BaseRequest,
        place: Place,
        path: str,
        parameters: Sequence[tuple[str, str]],
    ) -> web.StreamResponse:
        """A client that speaks SPDY itself: its bytes, unread, to the kubelet and back."""
        headers = CIMultiDict(Host=place.node, Connection="Upgrade", Upgrade=SPDY)
        for offered in request.headers.getall(SPDY_PROTOCOL, []):
            headers.add(SPDY_PROTOCOL, offered)
        headers["Content-Length"] = "0"
        target = place.url(path, parameters).raw_path_qs
        to = Dialled(place.address, place.port, self._kubelets.context(), place.node)
        asked = Asked("POST", target, headers)
        async with self._backends.upgrade(to, asked) as (head, kubelet):
            if not head.startswith(b"HTTP/1.1 101"):
                raise await refusal(head, kubelet[0])
            async with hijack(request, head) as client:
                await carry(client, kubelet)
            return Hijacked(SWITCHING)


def _upgraded(form: Form) -> web.WebSocketResponse:
    return web.WebSocketResponse(
        protocols=(form.name,) if form.name else (),
        heartbeat=PING_SECONDS,
        max_msg_size=MESSAGE_BYTES_MAX,
        compress=False,
    )


async def _tell(request: web.BaseRequest, form: Form, error: ApiError) -> web.StreamResponse:
    """Upgrade only to tell of the error, on its own channel.

    To a refused upgrade kubectl answers by trying SPDY, and would show that refusal instead.
    """
    response = _upgraded(form)
    await response.prepare(request)
    told = form.to_client(bytes([channels.ERROR]) + encode(error.status())) or b""
    await (response.send_str(told.decode()) if form.is_text else response.send_bytes(told))
    await response.close()
    return response


def _all(exchange: Exchange, name: str) -> list[str]:
    pairs = parse_qsl(exchange.request.raw_path.partition("?")[2], keep_blank_values=True)
    return [value for key, value in pairs if key == name]


def _path(verb: str, target: Target, *rest: str) -> str:
    return "/".join(
        ["", verb, *(quote(part, safe="") for part in (target.namespace, target.name, *rest))]
    )


def _form(request: web.BaseRequest, forms: Mapping[str, Form]) -> Form:
    """The first form of the client's that is served; none named is the oldest one."""
    if request.headers.get("Upgrade", "").lower() != "websocket":
        raise BadRequest("Upgrade request required")
    asked = [
        name.strip()
        for header in request.headers.getall("Sec-WebSocket-Protocol", [])
        for name in header.split(",")
    ]
    found = next((forms[name] for name in asked or [""] if name in forms), None)
    if found is None:
        served = [name for name in forms if name]
        raise BadRequest(f"none of the protocols {asked} is served; served are {served}")
    return found
