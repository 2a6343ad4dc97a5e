"""``/openapi``: which form a client takes, what it has already, and the bytes."""

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from pilothouse.services.apiserver.rest import replies
from pilothouse.services.apiserver.rest.exchange import Exchange
from pilothouse.services.apiserver.rest.negotiation import JSON as JSON_TYPE
from pilothouse.services.apiserver.rest.negotiation import clauses
from pilothouse.services.apiserver.rest.openapi.library import (
    JSON,
    PROTOBUF,
    SWAGGER,
    Library,
    plain,
)
from pilothouse.services.machinery.errors import NotAcceptable
from pilothouse.services.runtime import web

_FOREVER = timedelta(days=365)


def _forms(version: str) -> dict[str, tuple[str, str]]:
    """Media types that may be asked for: the form, and what the answer calls itself."""
    packed = f"application/com.github.proto-openapi.spec.{version}.v1.0+protobuf"
    return {
        JSON_TYPE: (JSON, JSON_TYPE),
        f"application/com.github.proto-openapi.spec.{version}@v1.0+protobuf": (PROTOBUF, packed),
        packed: (PROTOBUF, packed),
        "application/*": (JSON, JSON_TYPE),
        "*/*": (JSON, JSON_TYPE),
    }


_V2, _V3 = _forms("v2"), _forms("v3")


class OpenApi:
    """The documents by path."""

    paths: Sequence[str] = ()

    def __init__(self, library: Library, now: Callable[[], float]) -> None:
        self._library = library
        self._now = now

    async def reply(self, exchange: Exchange, segments: Sequence[str]) -> web.Response | None:
        """The document at that path; None where there is none."""
        if segments[0] != "openapi":
            return None
        if segments[1:] == ["v2"]:
            return await self._send(exchange, SWAGGER, _V2, {})
        if segments[1:2] != ["v3"]:
            return None
        if len(segments) == 2:  # noqa: PLR2004 - /openapi/v3
            return self._index(exchange)
        return await self._group(exchange, "/".join(segments[2:]))

    def _index(self, exchange: Exchange) -> web.Response:
        tags = self._library.tags()
        paths = {
            path: {"serverRelativeURL": _url(path, tag)}
            for path, tag in sorted(tags.items())
            if path != SWAGGER
        }
        body = replies.encode({"paths": paths})
        tag = hashlib.sha512(body).hexdigest().upper()
        headers = {"Content-Type": JSON_TYPE, "ETag": f'"{tag}"', **replies.PRIVATE}
        if _has(exchange, tag):
            return web.Response(status=304, headers=headers)
        return web.Response(body=body, headers=headers)

    async def _group(self, exchange: Exchange, path: str) -> web.Response | None:
        tag = self._library.tags().get(path)
        if tag is None:
            return None
        headers = {}
        asked = exchange.query.get("hash", "")
        if asked:
            if asked != tag:
                headers = {"Location": _url(path, tag), **replies.PRIVATE}
                return web.Response(status=301, headers=headers)
            until = datetime.fromtimestamp(self._now(), UTC) + _FOREVER
            headers = {
                "Cache-Control": "public, immutable",
                "Expires": until.strftime("%a, %d %b %Y %H:%M:%S UTC"),
            }
        return await self._send(exchange, path, _V3, headers)

    async def _send(
        self, exchange: Exchange, path: str, forms: Mapping[str, tuple[str, str]],
        headers: Mapping[str, str],
    ) -> web.Response:  # fmt: skip
        form, media_type = _form(exchange, forms)
        tag = self._library.tags()[path]
        told = {**replies.PRIVATE, "Vary": "Accept", "Content-Type": media_type, **headers}
        if _has(exchange, tag):
            return web.Response(status=304, headers={**told, "ETag": f'"{tag}"'})
        kept = await self._library.document(path, form)
        told["ETag"] = f'"{kept.tag}"'
        if replies.takes_gzip(exchange):
            told |= {"Content-Encoding": "gzip", "Vary": "Accept, Accept-Encoding"}
            return web.Response(body=kept.compressed, headers=told)
        return web.Response(body=await asyncio.to_thread(plain, kept), headers=told)


def _form(exchange: Exchange, forms: Mapping[str, tuple[str, str]]) -> tuple[str, str]:
    header = exchange.request.headers.get("Accept") or "*/*"
    for clause in clauses(header):
        found = forms.get(clause.media_type)
        if found is not None and clause.quality > 0:
            return found
    raise NotAcceptable(f"only the following media types are accepted: {', '.join(forms)}")


def _has(exchange: Exchange, tag: str) -> bool:
    """Whether the client has the document of that tag already."""
    header = exchange.request.headers.get("If-None-Match", "")
    held = {each.strip().removeprefix("W/") for each in header.split(",")}
    return f'"{tag}"' in held or "*" in held


def _url(path: str, tag: str) -> str:
    return f"/openapi/v3/{quote(path)}?hash={tag}"
