"""``…/proxy`` of pods, Services and nodes: any method and path, passed on to who answers there."""

import secrets
from collections.abc import AsyncIterator, Sequence
from typing import Any

import aiohttp
import msgspec
from multidict import CIMultiDict

from pilothouse.services.apiserver.adapters.backends import Asked, Backends, Dialled, unverified
from pilothouse.services.apiserver.adapters.kubelet import Kubelets, Place
from pilothouse.services.apiserver.chain.ports import Live
from pilothouse.services.apiserver.requests import Target
from pilothouse.services.apiserver.rest.exchange import CONTINUE, Exchange
from pilothouse.services.apiserver.rest.paths import proxied_tail
from pilothouse.services.apiserver.rest.proxying_pages import Page, Ways
from pilothouse.services.apiserver.rest.proxying_places import (
    Destination,
    of_node,
    of_pod,
    of_service,
    split,
)
from pilothouse.services.machinery.errors import NotFound, ServiceUnavailable, Subject
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime import web
from pilothouse.services.runtime.hijacking import Hijacked, carry, hijack

CHUNK_BYTES = 64 * 1024
SWITCHING, REDIRECT = 101, 301
REFUSAL_BYTES_MAX = 64 * 1024

# What concerns one connection only, and what says who the client is: neither is passed on.
_HOP = ("Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
        "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Expect")  # fmt: skip
_OURS = ("authorization", "impersonate-", "x-remote-")
_CORS = ("Access-Control-Allow-Credentials", "Access-Control-Allow-Headers",
         "Access-Control-Allow-Methods", "Access-Control-Allow-Origin")  # fmt: skip


class Proxies:
    """Finds who is meant and passes the exchange on."""

    def __init__(self, live: Live, kubelets: Kubelets, backends: Backends) -> None:
        self._live = live
        self._kubelets = kubelets
        self._backends = backends
        self._pods_tls = unverified()

    async def pod(self, exchange: Exchange, target: Target) -> web.StreamResponse:
        """To a port of a pod."""
        name = split(target.name, "pod")
        pod = self._find("pods", Key(target.namespace, name.name))
        return await self._pass(exchange, of_pod(name, pod))

    async def service(self, exchange: Exchange, target: Target) -> web.StreamResponse:
        """To one of the endpoints behind a port of a Service."""
        name = split(target.name, "service")
        key = Key(target.namespace, name.name)
        service = self._find("services", key)
        stored = self._live.find("", "endpoints", key)
        endpoints = {} if stored is None else msgspec.json.decode(stored.json)

        def addresses_of(reference: dict[str, Any]) -> Sequence[str]:
            if reference.get("namespace") != target.namespace:
                return ()
            pod = self._live.find("", "pods", Key(target.namespace, reference.get("name", "")))
            status = {} if pod is None else msgspec.json.decode(pod.json).get("status") or {}
            return [item["ip"] for item in status.get("podIPs") or ()]

        found = of_service(name, service, endpoints, addresses_of, secrets.randbelow)
        return await self._pass(exchange, found)

    async def node(self, exchange: Exchange, target: Target) -> web.StreamResponse:
        """To the kubelet, or to another port of its node."""
        name = split(target.name, "node")
        status = self._find("nodes", Key("", name.name)).get("status") or {}
        addresses = status.get("addresses") or ()
        address = next((item["address"] for item in addresses if item["type"] == "InternalIP"), "")
        if not address:
            raise ServiceUnavailable(f"no preferred addresses found; known addresses: {addresses}")
        endpoint = (status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}
        return await self._pass(exchange, of_node(name, address, endpoint.get("Port", 10250)))

    def _find(self, plural: str, key: Key) -> dict[str, Any]:
        stored = self._live.find("", plural, key)
        if stored is None:
            raise NotFound(
                f'{plural} "{key.name}" not found', subject=Subject(kind=plural, name=key.name)
            )
        document: dict[str, Any] = msgspec.json.decode(stored.json)
        return document

    async def _pass(self, exchange: Exchange, to: Destination) -> web.StreamResponse:
        request = exchange.request
        path, question, query = request.raw_path.partition("?")
        tail = proxied_tail(path)
        upgrade = request.headers.get("Upgrade", "")
        is_upgrade = bool(upgrade) and "upgrade" in request.headers.get("Connection", "").lower()
        if not tail and not is_upgrade and request.method in ("GET", "HEAD"):
            return web.Response(status=REDIRECT, headers={"Location": f"{path}/{question}{query}"})
        prepend = path.removesuffix(tail) if tail else path
        headers = _request_headers(request, path)
        wanted = f"{tail or '/'}{question}{query}"
        dialled = self._dialled(to)
        if is_upgrade:
            headers["Connection"], headers["Upgrade"] = "Upgrade", upgrade
            asked = Asked(request.method, wanted, headers, _body(request))
            return await self._upgrade(request, dialled, asked)
        ways = Ways(prepend, to.authority, request.headers.get("Host", ""))
        has_body = request.can_read_body
        asked = Asked(request.method, wanted, headers, _body(request) if has_body else None)
        async with self._backends.request(dialled, asked) as answer:
            return await _answer(request, answer, ways)

    def _dialled(self, to: Destination) -> Dialled:
        if to.kubelet:
            place = Place(to.kubelet, to.host, to.port)
            return Dialled(to.host, to.port, self._kubelets.context(), place.node)
        context = self._pods_tls if to.scheme == "https" else None
        return Dialled(to.host, to.dialled, context)

    async def _upgrade(
        self, request: web.BaseRequest, dialled: Dialled, asked: Asked
    ) -> web.StreamResponse:
        async with self._backends.upgrade(dialled, asked) as (head, backend):
            status = _status(head)
            async with hijack(request, head) as client:
                if status == SWITCHING:
                    await carry(client, backend)
                else:
                    client[1].write(await backend[0].read(REFUSAL_BYTES_MAX))
            return Hijacked(status)


def _status(head: bytes) -> int:
    words = head.split(b"\r\n", 1)[0].split()
    if len(words) < 2 or not words[1].isdigit():  # noqa: PLR2004 - version and code
        raise ServiceUnavailable("error trying to reach service: malformed HTTP response")
    return int(words[1])


def _request_headers(request: web.BaseRequest, path: str) -> CIMultiDict[str]:
    headers = CIMultiDict(request.headers)
    for listed in ",".join(request.headers.getall("Connection", [])).split(","):
        headers.popall(listed.strip(), None)
    for name in _HOP:
        headers.popall(name, None)
    for name in [name for name in headers if name.lower().startswith(_OURS)]:
        headers.popall(name, None)
    before = headers.popall("X-Forwarded-For", [])
    if request.remote:
        headers["X-Forwarded-For"] = ", ".join([*before, request.remote])
    headers["X-Forwarded-Uri"] = path
    return headers


async def _body(request: web.BaseRequest) -> AsyncIterator[bytes]:
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(CONTINUE)
        request.writer.output_size = 0
    async for chunk in request.content.iter_any():
        yield chunk


async def _answer(
    request: web.BaseRequest, answer: aiohttp.ClientResponse, ways: Ways
) -> web.StreamResponse:
    headers = CIMultiDict(answer.headers)
    for name in (*_HOP, *_CORS):
        headers.popall(name, None)
    if "Location" in headers:
        headers["Location"] = ways.rewritten(headers["Location"])
    page = None
    kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    encoded = headers.get("Content-Encoding", "identity").lower() not in ("", "identity")
    if kind == "text/html" and not encoded and "Location" not in headers:
        page = Page(ways)
        if request.method != "HEAD":
            headers.popall("Content-Length", None)
    response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
    await response.prepare(request)
    if request.method != "HEAD":
        try:
            async for chunk in answer.content.iter_chunked(CHUNK_BYTES):
                await response.write(chunk if page is None else page.feed(chunk))
        except aiohttp.ClientError as error:
            # The answer has begun: that it is not whole can only be told by breaking it off.
            raise ConnectionResetError(str(error)) from None
        if page is not None:
            await response.write(page.end())
    await response.write_eof()
    return response
