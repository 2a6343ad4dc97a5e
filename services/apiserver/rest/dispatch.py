"""Every HTTP request, to the one place that answers it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias
from urllib.parse import parse_qs

from pilothouse.services.apiserver.chain.attributes import Attributes
from pilothouse.services.apiserver.chain.authentication import Authentication, is_public
from pilothouse.services.apiserver.chain.authorization import Authorization
from pilothouse.services.apiserver.chain.impersonation import impersonated, impersonates
from pilothouse.services.apiserver.kinds.catalog import Catalog
from pilothouse.services.apiserver.kinds.kind import Kind
from pilothouse.services.apiserver.requests import Target, User
from pilothouse.services.apiserver.rest import health, replies, seating
from pilothouse.services.apiserver.rest.counters import Key, key_of, path_key
from pilothouse.services.apiserver.rest.deadlines import Deadline
from pilothouse.services.apiserver.rest.exchange import Exchange, parse_query
from pilothouse.services.apiserver.rest.paths import OBJECT_VERBS, Asked, ask, own_part, segments_of
from pilothouse.services.apiserver.rest.published import Published
from pilothouse.services.apiserver.rest.request import AUDIT_ID, Request
from pilothouse.services.apiserver.rest.services import Services
from pilothouse.services.apiserver.rest.verbs import Verbs
from pilothouse.services.machinery.errors import (
    ApiError,
    BadRequest,
    InternalError,
    MethodNotAllowed,
    NotFound,
    Timeout,
    TooManyRequests,
    Unauthorized,
)
from pilothouse.services.runtime import telemetry, web

NOT_FOUND = "the server could not find the requested resource"
NOT_ALLOWED = "the server does not allow this method on the requested resource"
TOO_LATE = "Timeout: request did not complete within the allotted timeout"
UNREAD = "Timeout: the body of the request did not come within the allotted timeout"
# Told to whoever uses them, as a Warning header; of the core group.
DEPRECATED = {
    "componentstatuses": "v1 ComponentStatus is deprecated in v1.19+",
    "endpoints": "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
}
COUNTED_PATHS = frozenset(
    {"api", "apis", "healthz", "livez", "metrics", "openapi", "readyz", "version"}
)
METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

Stream: TypeAlias = Callable[[Exchange, Target], Awaitable[web.StreamResponse]]


class Unread(Timeout):
    """It was the client who took too long, over its body."""

    http = 408


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
    services: Services


class _Call:
    """What one request holds while it is answered, and what it is counted as."""

    __slots__ = ("deadline", "entered", "key", "long_running", "opened", "seat")

    def __init__(self, key: Key) -> None:
        self.key = key
        self.seat: seating.Seat | None = None
        self.deadline: Deadline | None = None
        self.entered = ""
        self.opened = False
        self.long_running = False


class Door:
    """Answers any request with what was asked or with a ``metav1.Status``."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def answer(self, request: Request, certified: User | None) -> web.StreamResponse:
        """The reply; ``certified`` is who the verified client certificate names."""
        parts = self._parts.services
        started = parts.now()
        call = _Call(path_key(request.method, ""))
        request.told = ((AUDIT_ID, parts.audit_ids.of(request.headers.get("Audit-Id"))),)
        try:
            reply = await self._answered(request, certified, call)
        except asyncio.CancelledError:
            if not _expired(call.deadline):
                parts.counters.abort(call.key)
                raise
            reply = _too_late(request)
            parts.counters.terminate(call.key, reply.status)
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001 - nothing may leave as anything but a Status
            reply = _refusal(error, request)
        finally:
            self._end(call)
        if parts.stopping():
            reply.force_close()
        parts.counters.count(
            call.key, reply.status, parts.now() - started, reply.content_length or 0
        )
        return reply

    def _end(self, call: _Call) -> None:
        counters = self._parts.services.counters
        if call.seat is not None:
            call.seat.leave()
        if call.deadline is not None:
            self._parts.services.deadlines.end(call.deadline)
        if call.entered:
            counters.leave(call.entered)
        if call.opened:
            counters.close(call.key)

    async def _answered(
        self, request: Request, certified: User | None, call: _Call
    ) -> web.StreamResponse:
        parts = self._parts
        path, _, query_text = request.raw_path.partition("?")
        segments = segments_of(own_part(path) if "/proxy" in path else path)
        query = parse_query(query_text)
        asked = ask(request.method, segments, query)
        stream = parts.streams.find(asked.target) if asked is not None else None
        call.long_running = stream is not None or (asked is not None and asked.verb == "watch")
        if not call.long_running:
            call.deadline = parts.services.deadlines.start(query.get("timeout", ""))
            call.entered = "readOnly" if request.method in ("GET", "HEAD") else "mutating"
            parts.services.counters.enter(call.entered)
        authorization = request.headers.get("Authorization", "")
        try:
            user = parts.authentication.authenticate(certified, authorization, path)
        except Unauthorized:
            parts.services.counters.unauthenticated()
            raise
        parts.services.counters.authenticated(user.name)
        if impersonates(tuple(request.headers)):
            user = impersonated(user, request.headers.items(), parts.authorization.require)
        if stream is None:
            await self._seated(request, call, user, asked, path, query)
        exchange = Exchange(request, user, query)
        if asked is None:
            return await self._path(exchange, path, segments, call)
        return await self._resource(exchange, asked, stream, call)

    async def _seated(
        self,
        request: Request,
        call: _Call,
        user: User,
        asked: Asked | None,
        path: str,
        query: Mapping[str, str],
    ) -> None:
        """Wait for the seat; a watch gives it back when it stands."""
        verb = _verb_of(request.method)
        limit = query.get("limit", "") if query else ""
        call.seat = seat = self._parts.services.seating.arrive(user, asked, verb, path, limit)
        request.told += seat.headers
        try:
            await seat.taken()
        except TooManyRequests as refused:
            call.key = self._named(asked, call.key)
            self._parts.services.counters.terminate(call.key, refused.http)
            raise
        if call.long_running:
            request.opened = seat.leave

    def _named(self, asked: Asked | None, key: Key) -> Key:
        """What a request that is sent away is counted as; nothing that its client made up."""
        if asked is None:
            return key
        target = asked.target
        try:
            self._parts.catalog.lookup(target.group, target.version, target.plural)
        except NotFound:
            return key
        plain = replace(asked, target=replace(target, subresource=""))
        return key_of(plain, dry_run=False, applies=False)

    async def _resource(
        self, exchange: Exchange, asked: Asked, stream: Stream | None, call: _Call
    ) -> web.StreamResponse:
        parts, target, request = self._parts, asked.target, exchange.request
        kind = parts.catalog.lookup(target.group, target.version, target.plural)
        applies = asked.verb == "patch" and "apply-patch" in request.headers.get("Content-Type", "")
        dry_run = bool(exchange.query) and "dryRun" in exchange.query
        if stream is not None:
            asked = replace(asked, verb="connect")
        elif not asked.tail and (not target.subresource or target.subresource in kind.subresources):
            self._note_deprecated(exchange, target)
        else:
            # Nothing that a client makes up becomes a series of its own.
            target = replace(target, subresource="")
        counted = asked if target is asked.target else replace(asked, target=target)
        call.key = key_of(counted, dry_run=dry_run, applies=applies)
        if request.method == "OPTIONS" and stream is None:
            return web.Response(status=200, headers={"Allow": METHODS})
        if call.long_running:
            parts.services.counters.open(call.key)
            call.opened = True
        if stream is not None:
            return await self._stream(exchange, asked.target, stream)
        if asked.tail:
            raise NotFound(NOT_FOUND)
        _require_served(kind, asked)
        if kind.custom is not None and kind.custom.warnings:
            _tell(exchange, kind.custom.warnings)
        return await parts.verbs.by_name[asked.verb](exchange, kind, asked.target)

    def _note_deprecated(self, exchange: Exchange, target: Target) -> None:
        warning = DEPRECATED.get(target.plural) if target.group == "" else None
        if warning is None:
            return
        self._parts.services.counters.deprecated(target.group, target.version, target.plural, "")
        _tell(exchange, (warning,))

    async def _stream(
        self, exchange: Exchange, target: Target, stream: Stream
    ) -> web.StreamResponse:
        method = exchange.request.method
        if target.subresource == "proxy":
            verb = OBJECT_VERBS.get(method, "")
        elif target.subresource == "log" and method == "GET":
            verb = "get"
        elif target.subresource != "log" and method in ("GET", "POST"):
            # A stream into a container changes it, whichever method opens it.
            verb = "create"
        else:
            raise MethodNotAllowed(NOT_ALLOWED)
        await self._parts.authorization.allow(exchange.user, verb, target)
        return await stream(exchange, target)

    async def _path(
        self, exchange: Exchange, path: str, segments: Sequence[str], call: _Call
    ) -> web.StreamResponse:
        parts, method = self._parts, exchange.request.method
        if segments[0] in COUNTED_PATHS:
            call.key = path_key(method, f"/{segments[0]}")
        if not is_public(path):
            asked = Attributes(verb=_verb_of(method), path=path)
            parts.authorization.require(exchange.user, asked)
        if method == "OPTIONS":
            return web.Response(status=200, headers={"Allow": METHODS})
        if method not in ("GET", "HEAD"):
            raise MethodNotAllowed(NOT_ALLOWED)
        if segments[0] in health.ENDPOINTS:
            excluded = parse_qs(exchange.request.query_string).get("exclude", [])
            found = await parts.services.health.reply(segments, exchange.query, excluded)
        else:
            found = await parts.services.metrics.reply(
                segments, exchange.request.headers.get("Accept", "")
            )
            if found is None:
                found = await parts.published.reply(exchange, segments)
        if found is None:
            raise NotFound(NOT_FOUND)
        return found


def _tell(exchange: Exchange, warnings: Sequence[str]) -> None:
    """Have these warnings go with the answer."""
    request = exchange.request
    if isinstance(request, Request):
        told = tuple(("Warning", replies.warning(text)) for text in warnings)
        request.told += told


def _verb_of(method: str) -> str:
    return "get" if method in ("GET", "HEAD") else method.lower()


def _expired(deadline: Deadline | None) -> bool:
    """Whether a request was cancelled because its time is up; others' clients have gone."""
    return deadline is not None and deadline.expired


def _too_late(request: web.BaseRequest) -> web.Response:
    """The answer to what was cancelled because its time was up."""
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
    came = request.content.is_eof()
    return _refusal(Timeout(TOO_LATE) if came else Unread(UNREAD), request)


def _refusal(error: Exception, request: web.BaseRequest) -> web.Response:
    if request.writer.output_size > 0:
        raise ConnectionError("the answer has begun") from error
    if isinstance(error, UnicodeError):
        error = BadRequest("the request holds text that is not UTF-8")
    elif isinstance(error, web.HTTPException) and error.status < 500:  # noqa: PLR2004 - theirs
        error = BadRequest("the request is malformed")
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
