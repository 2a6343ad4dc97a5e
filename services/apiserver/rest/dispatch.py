"""Every HTTP request, to the one place that answers it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias
from urllib.parse import parse_qs

from aiohttp import web

from pilothouse.services.apiserver.chain.attributes import Attributes
from pilothouse.services.apiserver.chain.authentication import Authentication, is_public
from pilothouse.services.apiserver.chain.authorization import Authorization
from pilothouse.services.apiserver.chain.impersonation import impersonated
from pilothouse.services.apiserver.kinds.catalog import Catalog
from pilothouse.services.apiserver.kinds.kind import Kind
from pilothouse.services.apiserver.requests import Target, User
from pilothouse.services.apiserver.rest import health, replies
from pilothouse.services.apiserver.rest.counters import CONTENT_TYPE, LONG_RUNNING, Counters
from pilothouse.services.apiserver.rest.exchange import Exchange, parse_query
from pilothouse.services.apiserver.rest.health import Health
from pilothouse.services.apiserver.rest.paths import Asked, ask, own_part, segments_of
from pilothouse.services.apiserver.rest.published import Published
from pilothouse.services.apiserver.rest.verbs import Verbs
from pilothouse.services.machinery.errors import (
    ApiError,
    BadRequest,
    InternalError,
    MethodNotAllowed,
    NotFound,
)
from pilothouse.services.runtime import telemetry

NOT_FOUND = "the server could not find the requested resource"
NOT_ALLOWED = "the server does not allow this method on the requested resource"
METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

Stream: TypeAlias = Callable[[Exchange, Target], Awaitable[web.StreamResponse]]


class Streams(Protocol):
    """What is relayed to nodes, by ``(plural, subresource)``; None for what is no stream."""

    def find(self, target: Target) -> Stream | None: ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What the door leads to."""

    catalog: Catalog
    authentication: Authentication
    authorization: Authorization
    verbs: Verbs
    streams: Streams
    published: Published
    health: Health
    counters: Counters


class Door:
    """Answers any request with what was asked or with a ``metav1.Status``."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def answer(self, request: web.BaseRequest, certified: User | None) -> web.StreamResponse:
        """The reply; ``certified`` is who the verified client certificate names."""
        counters = self._parts.counters
        counters.in_flight += 1
        verb, series = request.method, None
        try:
            path, _, query_text = request.raw_path.partition("?")
            segments = segments_of(own_part(path))
            query = parse_query(query_text)
            asked = ask(request.method, segments, query)
            if asked is not None:
                verb, series = asked.verb, _series(asked.target)
            authorization = request.headers.get("Authorization", "")
            user = self._parts.authentication.authenticate(certified, authorization, path)
            user = impersonated(user, request.headers.items(), self._parts.authorization.require)
            exchange = Exchange(request, user, query)
            if asked is not None:
                reply = await self._resource(exchange, asked)
            else:
                reply = await self._path(exchange, path, segments)
        except (asyncio.CancelledError, ConnectionError):
            raise
        except Exception as error:  # noqa: BLE001 - nothing may leave as anything but a Status
            reply = _refusal(error, request)
        finally:
            counters.in_flight -= 1
        counters.count(verb, series, reply.status)
        return reply

    async def _resource(self, exchange: Exchange, asked: Asked) -> web.StreamResponse:
        parts, target = self._parts, asked.target
        kind = parts.catalog.lookup(target.group, target.version, target.plural)
        stream = parts.streams.find(target)
        if stream is not None:
            return await self._stream(exchange, asked, stream)
        if exchange.request.method == "OPTIONS":
            return web.Response(status=200, headers={"Allow": METHODS})
        if asked.tail:
            raise NotFound(NOT_FOUND)
        _require_served(kind, asked)
        if asked.verb in LONG_RUNNING:
            parts.counters.long_running += 1
        try:
            return await parts.verbs.by_name[asked.verb](exchange, kind, target)
        finally:
            if asked.verb in LONG_RUNNING:
                parts.counters.long_running -= 1

    async def _stream(self, exchange: Exchange, asked: Asked, stream: Stream) -> web.StreamResponse:
        target, verb = asked.target, asked.verb
        if target.subresource != "proxy":
            if exchange.request.method not in ("GET", "POST"):
                raise MethodNotAllowed(NOT_ALLOWED)
            # A stream into a container changes it, whichever method opens it.
            verb = "get" if target.subresource == "log" else "create"
        await self._parts.authorization.allow(exchange.user, verb, target)
        self._parts.counters.long_running += 1
        try:
            return await stream(exchange, target)
        finally:
            self._parts.counters.long_running -= 1

    async def _path(
        self, exchange: Exchange, path: str, segments: Sequence[str]
    ) -> web.StreamResponse:
        parts, method = self._parts, exchange.request.method
        if not is_public(path):
            asked = Attributes(verb=_verb_of(method), path=path)
            parts.authorization.require(exchange.user, asked)
        if method == "OPTIONS":
            return web.Response(status=200, headers={"Allow": METHODS})
        if method not in ("GET", "HEAD"):
            raise MethodNotAllowed(NOT_ALLOWED)
        if segments[0] in health.ENDPOINTS:
            excluded = parse_qs(exchange.request.query_string).get("exclude", [])
            found = await parts.health.reply(segments, exchange.query, excluded)
        elif segments == ["metrics"]:
            text = parts.counters.text().encode()
            return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE})
        else:
            found = await parts.published.reply(exchange, segments)
        if found is None:
            raise NotFound(NOT_FOUND)
        return found


def _verb_of(method: str) -> str:
    return "get" if method in ("GET", "HEAD") else method.lower()


def _series(target: Target) -> Target:
    """The target without what would make a series of its own for every object."""
    return Target(target.group, target.version, target.plural, subresource=target.subresource)


def _refusal(error: Exception, request: web.BaseRequest) -> web.Response:
    if isinstance(error, UnicodeDecodeError):
        error = BadRequest("the path is not UTF-8")
    elif not isinstance(error, ApiError):
        telemetry.logger().error("request failed", method=request.method, exc_info=error)
        error = InternalError("internal error; the service's log has the trace")
    return replies.refuse(error, request.headers.get("Accept", ""))


def _require_served(kind: Kind, asked: Asked) -> None:
    """Refuse paths that the kind does not have, and verbs that it does not know."""
    target = asked.target
    if not kind.namespaced and target.namespace:
        raise NotFound(NOT_FOUND)
    if kind.namespaced and not target.namespace:
        if target.name:
            raise NotFound(NOT_FOUND)
        if asked.verb not in ("list", "watch"):
            raise MethodNotAllowed(NOT_ALLOWED)
    verbs: Sequence[str] = kind.verbs
    if target.subresource:
        subresource = kind.subresources.get(target.subresource)
        if subresource is None:
            raise NotFound(NOT_FOUND)
        verbs = subresource.verbs
    elif target.name and asked.verb == "create":
        raise MethodNotAllowed(NOT_ALLOWED)
    if asked.verb not in verbs:
        raise MethodNotAllowed(NOT_ALLOWED)
