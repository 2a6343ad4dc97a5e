"""``log`` of a pod: a container's output as plain text, or as messages of a WebSocket."""

import base64
from collections.abc import AsyncIterator, Mapping

import aiohttp

from pilothouse.services.apiserver.adapters.kubelet import Kubelets
from pilothouse.services.apiserver.requests import Target
from pilothouse.services.apiserver.rest.exchange import Exchange
from pilothouse.services.apiserver.rest.paths import TRUE
from pilothouse.services.apiserver.rest.places import Places, container_of
from pilothouse.services.machinery import names, timestamps
from pilothouse.services.machinery.errors import BadRequest, Cause, Invalid, Subject
from pilothouse.services.runtime import web

CHUNK_BYTES = 64 * 1024
PING_SECONDS = 30.0
_BINARY, _BASE64 = "binary.k8s.io", "base64.binary.k8s.io"
_FLAGS = ("follow", "previous", "timestamps")
_LEAST = {"limitBytes": 1, "sinceSeconds": 1, "tailLines": 0}
_STREAMS = ("All", "Stderr", "Stdout")


class PodLogs:
    """Asks the kubelet and passes its answer on."""

    def __init__(self, places: Places, kubelets: Kubelets) -> None:
        self._places = places
        self._kubelets = kubelets

    async def serve(self, exchange: Exchange, target: Target) -> web.StreamResponse:
        """The log of one container, while it grows if that is asked for."""
        pod = self._places.pod(target)
        parameters = parameters_of(target.name, exchange.query)
        container = container_of(target, pod, exchange.query.get("container", ""))
        headers = {"Content-Type": "text/plain"}
        if not pod.spec.node_name:
            return web.Response(body=b"", headers=headers)
        place = self._places.of_node(pod.spec.node_name)
        path = f"/containerLogs/{target.namespace}/{target.name}/{container}"
        async with self._kubelets.get(place, path, parameters) as answer:
            if exchange.request.headers.get("Upgrade", "").lower() == "websocket":
                return await _messages(exchange.request, _chunks(answer))
            response = web.StreamResponse(headers=headers)
            response.enable_chunked_encoding()
            await response.prepare(exchange.request)
            async for chunk in _chunks(answer):
                await response.write(chunk)
            await response.write_eof()
            return response


async def _chunks(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    try:
        async for chunk in answer.content.iter_any():
            yield chunk
    except aiohttp.ClientError as error:
        # The answer has begun: that it is not whole can only be told by breaking it off.
        raise ConnectionResetError(str(error)) from None


async def _messages(request: web.BaseRequest, chunks: AsyncIterator[bytes]) -> web.StreamResponse:
    """One message a chunk; the client's word says whether as bytes or as base64 text."""
    socket = web.WebSocketResponse(
        protocols=(_BINARY, _BASE64), heartbeat=PING_SECONDS, compress=False
    )
    await socket.prepare(request)
    async for chunk in chunks:
        if socket.ws_protocol == _BASE64:
            await socket.send_str(base64.b64encode(chunk).decode())
        else:
            await socket.send_bytes(chunk)
    await socket.close()
    return socket


def parameters_of(name: str, query: Mapping[str, str]) -> list[tuple[str, str]]:
    """The kubelet's parameters; BadRequest on what can not be read, Invalid on what can not be."""
    parameters = [(flag, "true") for flag in _FLAGS if query.get(flag, "") in TRUE]
    parameters += [(field, str(_number(query, field))) for field in _LEAST if query.get(field)]
    parameters += [(field, query[field]) for field in ("sinceTime", "stream") if query.get(field)]
    causes = [
        names.invalid(field, number, f"must be greater than {'0' if least else 'or equal to 0'}")
        for field, least in _LEAST.items()
        if query.get(field) and (number := _number(query, field)) < least
    ]
    causes += _since(query) + _stream(query)
    if causes:
        told = "; ".join(f"{cause.field}: {cause.message}" for cause in causes)
        raise Invalid(
            f'PodLogOptions "{name}" is invalid: {told}',
            subject=Subject(kind="PodLogOptions", name=name),
            causes=causes,
        )
    return parameters


def _number(query: Mapping[str, str], field: str) -> int:
    try:
        return int(query[field])
    except ValueError:
        raise BadRequest(f"{field} must be a whole number") from None


def _since(query: Mapping[str, str]) -> list[Cause]:
    since = query.get("sinceTime", "")
    if not since:
        return []
    try:
        timestamps.parse(since)
    except ValueError:
        raise BadRequest(f"sinceTime {since!r} is no RFC 3339 time") from None
    if not query.get("sinceSeconds"):
        return []
    detail = "at most one of `sinceTime` or `sinceSeconds` may be specified"
    return [names.forbidden("", detail)]


def _stream(query: Mapping[str, str]) -> list[Cause]:
    stream = query.get("stream") or "All"
    if stream not in _STREAMS:
        return [names.unsupported("stream", stream, _STREAMS)]
    if stream == "All" or not query.get("tailLines"):
        return []
    detail = "`tailLines` and specific `stream` are mutually exclusive for now"
    return [names.forbidden("", detail)]
