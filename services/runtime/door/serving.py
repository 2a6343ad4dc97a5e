"""Answers ``/healthz``, ``/livez``, ``/readyz``, ``/metrics`` and the pages over HTTPS."""

import asyncio
import contextlib
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TypeAlias

from pilothouse.services.machinery.errors import (
    ApiError,
    MethodNotAllowed,
    NotFound,
    Unauthorized,
)
from pilothouse.services.runtime import proc, telemetry, web
from pilothouse.services.runtime.client.election import Term
from pilothouse.services.runtime.client.objects import BOUNDS, Objects
from pilothouse.services.runtime.clientcerts import Judge, defer, shown_over
from pilothouse.services.runtime.clock import Clock
from pilothouse.services.runtime.control.measures import Spans
from pilothouse.services.runtime.door.access import Access
from pilothouse.services.runtime.door.flags import Secured
from pilothouse.services.runtime.door.pages import Pages
from pilothouse.services.runtime.door.users import User, user_of
from pilothouse.services.runtime.exposition import (
    OPEN_METRICS,
    TEXT,
    Family,
    render,
    wants_open_metrics,
)

HEALTH = ("healthz", "livez", "readyz")
PAGES = ("configz", "flagz", "statusz")
_PATHS = (*HEALTH, *PAGES, "metrics")
_PLAIN = "text/plain; charset=utf-8"

# What is wrong, or empty text.
Check: TypeAlias = Callable[[], str]
Source: TypeAlias = Callable[[], Iterable[Family]]


class Door:
    """What is behind it: named checks, and sources of what is measured."""

    def __init__(
        self, access: Access, judge: Judge[User], open_paths: Iterable[str],
        checks: Mapping[str, Check], sources: Iterable[Source], pages: Pages,
    ) -> None:  # fmt: skip
        self._pages = pages
        self._access = access
        self._judge = judge
        self._open_paths = frozenset(open_paths)
        self._checks = {"ping": _fine, **checks}
        self._sources = (proc.families, pages.built, *sources)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """One request; whatever is refused is a Status."""
        try:
            if request.method not in ("GET", "HEAD"):
                raise MethodNotAllowed("only GET is supported")
            if not self._is_open(request.path):
                user = await self._who(request)
                await self._access.check(user, "get", request.path)
            return self._reply(request)
        except ApiError as error:
            return web.json_response(error.status(), status=error.http)

    async def _who(self, request: web.BaseRequest) -> User:
        shown, said = shown_over(request.transport), request.headers.get("Authorization", "")
        certified = self._judge.user(shown)
        if shown and certified is None and not said:
            raise Unauthorized("Unauthorized")
        return await self._access.who(certified, said)

    def _is_open(self, path: str) -> bool:
        return any(
            path.startswith(known[:-1]) if known.endswith("*") else path == known
            for known in self._open_paths
        )

    def _reply(self, request: web.BaseRequest) -> web.Response:
        first, _, rest = request.path.strip("/").partition("/")
        if first in PAGES and not rest:
            return self._page(first, request)
        if first == "metrics" and not rest:
            found = [family for source in self._sources for family in source()]
            opened = wants_open_metrics(request.headers.get("Accept", ""))
            return web.Response(
                body=render(found, open_metrics=opened),
                headers={"Content-Type": OPEN_METRICS if opened else TEXT},
            )
        if first in HEALTH and not rest:
            excluded = request.query.getall("exclude", [])
            return self._healthy(first, excluded, verbose="verbose" in request.query)
        if first in HEALTH and rest in self._checks:
            fault = self._checks[rest]()
            return _text(f"internal server error: {fault}\n" if fault else "ok", failed=bool(fault))
        raise NotFound("the server could not find the requested resource")

    def _page(self, name: str, request: web.BaseRequest) -> web.Response:
        if name == "statusz":
            return self._pages.statusz(request, [f"/{path}" for path in _PATHS])
        return self._pages.flagz(request) if name == "flagz" else self._pages.configz()

    def _healthy(self, endpoint: str, excluded: Iterable[str], *, verbose: bool) -> web.Response:
        lines, failed = [], False
        for name, check in self._checks.items():
            if name in excluded:
                lines.append(f"[+]{name} excluded: ok")
                continue
            fault = check()
            failed = failed or bool(fault)
            lines.append(f"[-]{name} failed: {fault}" if fault else f"[+]{name} ok")
        if not failed and not verbose:
            return _text("ok", failed=False)
        lines.append(f"{endpoint} check {'failed' if failed else 'passed'}")
        return _text("\n".join(lines) + "\n", failed=failed)


@contextlib.asynccontextmanager
async def serve_https(
    secured: Secured | None,
    objects: Objects,
    clock: Clock,
    sources: Iterable[Source],
    checks: Mapping[str, Check] = MappingProxyType({}),
    pages: Pages | None = None,
) -> AsyncIterator[None]:
    """Serve until the block ends; nothing without a port. ``objects`` asks the reviews."""
    if secured is None:
        yield
        return
    judge = Judge(secured.client_authority, clock.now, user_of)
    access, pages = Access(objects, clock), pages or Pages("pilothouse", clock=clock)
    door = Door(access, judge, secured.open_paths, checks, sources, pages)
    server = web.Server(door.answer)

    listening = await asyncio.get_running_loop().create_server(
        server, secured.address, secured.port, ssl=_context(secured), reuse_address=True
    )
    telemetry.logger(part="door").info("serving", address=secured.address, port=secured.port)
    try:
        yield
    finally:
        listening.close()
        await server.shutdown(1.0)


def election(component: str, term: Term) -> Source:
    """Whether this process leads, as Kubernetes' components tell it."""

    def told() -> Iterable[Family]:
        leads = term.left_seconds > 0
        name = ("name", component)
        status = Family("leader_election_master_status", "gauge", "1 where it leads, 0 else.")
        slow = Family("leader_election_slowpath_total", "counter", "Leases read to be renewed.")
        return (status.add(leads, name), slow.add(term.slow_paths, name))

    return told


def calls(host: str, clients: Iterable[Objects]) -> Source:
    """What the API server answered ``clients``, and how long it took."""

    def told() -> Iterable[Family]:
        family = Family("rest_client_requests_total", "counter", "Requests, by verb and code.")
        sums: Counter[tuple[str, int]] = Counter()
        took: dict[str, Spans] = {}
        for client in clients:
            sums.update(client.calls)
            for verb, spans in client.took.items():
                took.setdefault(verb, Spans(BOUNDS)).include(spans)
        for (verb, code), count in sorted(sums.items()):
            family.add(count, ("code", str(code)), ("host", host), ("method", verb))
        lasting = Family("rest_client_request_duration_seconds", "histogram", "By verb.")
        for verb, spans in sorted(took.items()):
            lasting.observe(BOUNDS, spans.counts, spans.total, (("host", host), ("verb", verb)))
        return (family, lasting)

    return told


def _context(secured: Secured) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(secured.certificate, secured.key)
    context.load_verify_locations(secured.client_authority)
    defer(context)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _fine() -> str:
    return ""


def _text(text: str, *, failed: bool) -> web.Response:
    headers = {"Content-Type": _PLAIN, "X-Content-Type-Options": "nosniff"}
    return web.Response(body=text.encode(), status=500 if failed else 200, headers=headers)
