"""What the server says about itself: discovery, OpenAPI and its version."""

from collections.abc import Sequence
from typing import Any, TypeAlias

from aiohttp import web

from pilothouse.services.apiserver.kinds.catalog import Catalog
from pilothouse.services.apiserver.rest import discovery, replies
from pilothouse.services.apiserver.rest.exchange import Exchange
from pilothouse.services.apiserver.rest.negotiation import JSON
from pilothouse.services.apiserver.rest.openapi import OpenApi
from pilothouse.services.apiserver.rest.version import version_document
from pilothouse.services.machinery.errors import NotAcceptable

Document: TypeAlias = dict[str, Any]
_DISCOVERY = frozenset({"APIGroupDiscoveryList"})
_ROOT_PATHS = [
    "/api", "/api/v1", "/apis", "/healthz", "/livez", "/metrics", "/openapi/v2", "/openapi/v3",
    "/readyz", "/version",
]  # fmt: skip


class Published:
    """Documents by path."""

    def __init__(self, catalog: Catalog, openapi: OpenApi, address: str) -> None:
        self._catalog = catalog
        self._openapi = openapi
        self._address = address

    async def reply(self, exchange: Exchange, segments: Sequence[str]) -> web.Response | None:
        """The document at that path; None where there is none."""
        if segments in (["api"], ["apis"]):
            return await self._root(exchange, core=segments == ["api"])
        if segments[0] == "openapi":
            return await self._described(exchange, segments[1:])
        document = self._document(segments)
        return None if document is None else replies.document_reply(exchange, document)

    def _document(self, segments: Sequence[str]) -> Document | None:
        match segments:
            case [""]:
                groups = [f"/apis/{name}" for name in self._catalog.groups() if name]
                return {"paths": sorted([*_ROOT_PATHS, *groups])}
            case ["version"]:
                return version_document()
            case ["api", version]:
                return discovery.resources(self._catalog, "", version)
            case ["apis", group]:
                return discovery.group(self._catalog, group)
            case ["apis", group, version]:
                return discovery.resources(self._catalog, group, version)
        return None

    async def _root(self, exchange: Exchange, *, core: bool) -> web.Response:
        if exchange.accepted(_DISCOVERY).shape:
            document = discovery.aggregated(self._catalog, core=core)
            headers = {"Content-Type": discovery.AGGREGATED_TYPE, "Vary": "Accept"}
            reply = web.Response(body=replies.encode(document), headers=headers)
            return await replies.compressed(exchange, reply)
        if core:
            return replies.document_reply(exchange, discovery.api_versions(self._address))
        return replies.document_reply(exchange, discovery.groups(self._catalog))

    async def _described(self, exchange: Exchange, segments: Sequence[str]) -> web.Response | None:
        if segments == ["v2"]:
            return replies.document_reply(exchange, self._openapi.swagger())
        if not segments or segments[0] != "v3":
            return None
        if len(segments) == 1:
            return replies.document_reply(exchange, self._openapi.index())
        if exchange.accepted().encoding != "json":
            raise NotAcceptable(f"OpenAPI documents are given as {JSON} only")
        body = self._openapi.document("/".join(segments[1:]))
        if body is None:
            return None
        reply = web.Response(body=body, headers={"Content-Type": JSON, "Vary": "Accept"})
        return await replies.compressed(exchange, reply)
