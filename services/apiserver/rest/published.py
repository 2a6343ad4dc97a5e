"""What the server says about itself: discovery, OpenAPI, its version, and who signs its tokens."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from pilothouse.services.apiserver.kinds.catalog import Catalog
from pilothouse.services.apiserver.rest import replies
from pilothouse.services.apiserver.rest.discovery import aggregated, legacy
from pilothouse.services.apiserver.rest.exchange import Exchange
from pilothouse.services.apiserver.rest.negotiation import MEDIA_TYPES
from pilothouse.services.apiserver.rest.version import version_document
from pilothouse.services.runtime import web

Document: TypeAlias = dict[str, Any]
_DISCOVERY = frozenset({aggregated.SHAPE})
_ROOT_PATHS = (
    "/api", "/api/v1", "/apis", "/apis/", "/healthz", "/livez", "/metrics", "/openapi/v2",
    "/openapi/v3", "/openapi/v3/", "/readyz", "/version",
)  # fmt: skip


class Described(Protocol):
    """Documents below one path, such as ``/openapi``."""

    paths: Sequence[str]
    """Those that ``/`` lists."""

    async def reply(self, exchange: Exchange, segments: Sequence[str]) -> web.Response | None:
        """The document at that path; None where there is none."""


@dataclass(slots=True)
class _Kept:
    """What was made of one generation of the catalog."""

    generation: int
    documents: dict[tuple[str, ...], Document | None] = field(default_factory=dict)
    tags: dict[tuple[str, ...], str] = field(default_factory=dict)


class Published:
    """Documents by path; those made of the catalog are kept until it changes."""

    def __init__(self, catalog: Catalog, described: Sequence[Described], address: str) -> None:
        self._catalog = catalog
        self._described = described
        self._address = address
        self._kept = _Kept(-1)

    async def reply(self, exchange: Exchange, segments: Sequence[str]) -> web.Response | None:
        """The document at that path; None where there is none."""
        if segments in (["api"], ["apis"]):
            return await self._root(exchange, core=segments == ["api"])
        if segments in ([""], ["index.html"]):
            return web.json_response(body=replies.indented(self._index()), headers=replies.PRIVATE)
        if segments == ["version"]:
            return web.json_response(
                body=replies.indented(version_document()), headers=replies.PRIVATE
            )
        document = self._document(segments)
        if document is not None:
            return replies.document_reply(exchange, document)
        for each in self._described:
            reply = await each.reply(exchange, segments)
            if reply is not None:
                return reply
        return None

    def _index(self) -> Document:
        paths = {*_ROOT_PATHS}
        for each in self._described:
            paths.update(each.paths)
        for group, versions in self._catalog.groups().items():
            if group:
                paths.add(f"/apis/{group}")
                paths.update(f"/apis/{group}/{version}" for version in versions)
        return {"paths": sorted(paths)}

    def _document(self, segments: Sequence[str]) -> Document | None:
        match segments:
            case ["api", version]:
                return self._made(legacy.resources, "", version)
            case ["apis", group]:
                return self._made(legacy.group, group)
            case ["apis", group, version]:
                return self._made(legacy.resources, group, version)
        return None

    def _made(self, make: Callable[..., Document | None], *words: str) -> Document | None:
        """``make`` of the catalog and ``words``, or what was made of them before."""
        if words[0] not in self._catalog.groups():
            return None
        documents = self._current().documents
        key = (make.__name__, *words)
        if key not in documents:
            document = make(self._catalog, *words)
            if document is None:
                return None
            documents[key] = document
        return documents[key]

    def _current(self) -> _Kept:
        if self._kept.generation != self._catalog.generation:
            self._kept = _Kept(self._catalog.generation)
        return self._kept

    async def _root(self, exchange: Exchange, *, core: bool) -> web.Response:
        if exchange.accepted(_DISCOVERY).shape:
            return await self._aggregated(exchange, core=core)
        if core:
            return replies.document_reply(exchange, legacy.api_versions(self._address))
        return replies.document_reply(exchange, legacy.groups(self._catalog))

    async def _aggregated(self, exchange: Exchange, *, core: bool) -> web.Response:
        kept, key = self._current(), ("aggregated", str(core))
        document = kept.documents.get(key)
        if document is None:
            document = kept.documents[key] = aggregated.groups(self._catalog, core=core)
            digest = hashlib.sha512(replies.encode(document)).hexdigest()
            kept.tags[key] = f'"{digest.upper()}"'
        headers = {"ETag": kept.tags[key], "Vary": "Accept", "Cache-Control": "public"}
        if exchange.request.headers.get("If-None-Match") == kept.tags[key]:
            return web.Response(status=304, headers=headers)
        encoding = exchange.accepted(_DISCOVERY).encoding
        headers["Content-Type"] = aggregated.content_type(MEDIA_TYPES[encoding])
        body = replies.written(document, encoding, pretty=exchange.pretty)
        return await replies.compressed(exchange, web.Response(body=body, headers=headers))
