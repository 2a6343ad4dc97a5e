"""The registry's client against a registry of the test's own, on loopback."""

import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from aiohttp import encode_basic_auth, web
from aiohttp.test_utils import TestServer

from pilothouse.cri_shim.images import manifests
from pilothouse.cri_shim.images.credentials import Given
from pilothouse.cri_shim.images.hosts import Host
from pilothouse.cri_shim.images.manifests import Descriptor
from pilothouse.cri_shim.images.registry import Repository, open_session
from pilothouse.services.machinery.errors import (
    ApiError,
    InternalError,
    NotFound,
    ServiceUnavailable,
    Unauthorized,
)
from pilothouse.services.machinery.images import parse

BLOB = bytes(range(256)) * 4096
MANIFEST = json.dumps({"config": {"digest": "sha256:" + "0" * 64, "size": 1}}).encode()


def digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


class Registry:
    """Serves one repository ``team/app`` to who has the token, or to everybody."""

    def __init__(self) -> None:
        self.token = ""
        self.user = ("u", "p")
        self.asked: list[str] = []
        self.ranges = True
        self.cut = 0
        self.lies = False

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/v2/team/app/manifests/{name}", self.manifest)
        app.router.add_get("/v2/team/app/blobs/{name}", self.blob)
        app.router.add_get("/token", self.give)
        app.router.add_post("/token", self.refresh)
        return app

    def _check(self, request: web.Request) -> None:
        self.asked.append(request.path_qs)
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            realm = f"http://{request.host}/token"
            header = f'Bearer realm="{realm}",service="s",scope="repository:team/app:pull"'
            raise web.HTTPUnauthorized(headers={"WWW-Authenticate": header})

    async def give(self, request: web.Request) -> web.Response:
        assert request.query["scope"] == "repository:team/app:pull"
        if request.headers.get("Authorization") != encode_basic_auth(*self.user):
            raise web.HTTPUnauthorized
        return web.json_response({"token": self.token})

    async def refresh(self, request: web.Request) -> web.Response:
        form = await request.post()
        if form["grant_type"] != "refresh_token" or form["refresh_token"] != "long":
            raise web.HTTPUnauthorized
        return web.json_response({"access_token": self.token})

    async def manifest(self, request: web.Request) -> web.Response:
        self._check(request)
        if request.match_info["name"] not in {"v1", digest(MANIFEST)}:
            raise web.HTTPNotFound
        content = MANIFEST + b" " if self.lies else MANIFEST
        return web.Response(body=content, content_type=manifests.OCI_MANIFEST)

    async def blob(self, request: web.Request) -> web.StreamResponse:
        self._check(request)
        start = request.http_range.start or 0 if self.ranges else 0
        content = BLOB[start:]
        response = web.StreamResponse(status=206 if start else 200)
        response.content_length = len(content)
        await response.prepare(request)
        if self.cut:
            await response.write(content[: self.cut])
            assert request.transport is not None
            request.transport.close()
            return response
        await response.write(content)
        return response


@asynccontextmanager
async def serving(registry: Registry) -> AsyncIterator[Host]:
    async with TestServer(registry.app()) as server:
        yield Host(f"http://{server.host}:{server.port}/v2")


@asynccontextmanager
async def repository(
    hosts: Sequence[Host], given: Given | None = None, name: str = "x.io/team/app:v1"
) -> AsyncIterator[Repository]:
    async with open_session() as session:
        yield Repository(session, parse(name), hosts, given)


async def _read(found: Repository, blob: Descriptor, offset: int = 0) -> bytes:
    return b"".join([chunk async for chunk in found.blob(blob, offset)])


async def test_manifests_and_blobs() -> None:
    registry = Registry()
    blob = Descriptor(digest(BLOB), len(BLOB))
    async with serving(registry) as host, repository([host]) as found:
        target, content = await found.resolve()
        assert (target.digest, target.size, content) == (digest(MANIFEST), len(MANIFEST), MANIFEST)
        assert target.media_type == manifests.OCI_MANIFEST
        assert await found.manifest(target) == MANIFEST
        assert await _read(found, blob) == BLOB
        assert await _read(found, blob, 1000) == BLOB[1000:]
        registry.ranges = False
        assert await _read(found, blob, 300_000) == BLOB[300_000:]


async def test_a_token_is_fetched_once() -> None:
    registry = Registry()
    registry.token = "secret"
    blob = Descriptor(digest(BLOB), len(BLOB))
    async with serving(registry) as host:
        async with repository([host], Given("u", "p")) as found:
            await found.resolve()
            assert await _read(found, blob) == BLOB
            assert len(registry.asked) == 3
        async with repository([host], Given(identity_token="long")) as found:
            await found.resolve()
        async with repository([host], Given(registry_token="secret")) as found:
            await found.resolve()
        for given in (None, Given("u", "wrong"), Given(registry_token="no")):
            async with repository([host], given) as found:
                with pytest.raises(Unauthorized):
                    await found.resolve()


async def test_mirrors_come_first_and_the_server_answers_for_all() -> None:
    registry, mirror = Registry(), Registry()
    async with serving(registry) as host, serving(mirror) as other:
        first = Host(other.url, is_mirror=True)
        gone = Host("http://127.0.0.1:1/v2", is_mirror=True)
        async with repository([gone, first, host]) as found:
            await found.resolve()
        assert mirror.asked == ["/v2/team/app/manifests/v1?ns=x.io"]
        assert registry.asked == []
        async with repository([gone, first, host], name="x.io/team/app:v2") as found:
            with pytest.raises(NotFound, match=r"x.io/team/app:v2: not found"):
                await found.resolve()
        assert registry.asked == ["/v2/team/app/manifests/v2"]
        async with repository([host, gone]) as found:
            await found.resolve()
        async with repository([gone]) as found:
            with pytest.raises(ServiceUnavailable, match="failed to do request"):
                await found.resolve()


async def test_who_lies_is_caught() -> None:
    registry = Registry()
    async with serving(registry) as host:
        registry.lies = True
        async with repository([host], name=f"x.io/team/app@{digest(MANIFEST)}") as found:
            with pytest.raises(InternalError, match="digest mismatch"):
                await found.resolve()
        async with repository([host]) as found:
            with pytest.raises(InternalError, match="more than 10 bytes"):
                await _read(found, Descriptor(digest(BLOB), 10))
            with pytest.raises(ServiceUnavailable, match="missing"):
                await _read(found, Descriptor(digest(BLOB), len(BLOB) + 1))
            registry.cut = 1000
            with pytest.raises(ApiError):
                await _read(found, Descriptor(digest(BLOB), len(BLOB)))
