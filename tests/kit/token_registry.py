"""A registry of a test's own: an image for several platforms, tokens, and a line that breaks."""

import contextlib
import gzip
import hashlib
import json
from collections.abc import AsyncIterator

from aiohttp import encode_basic_auth, web

from pilothouse.ops.images.archive import File, layer

INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
REPOSITORY = "team/app"
USER, PASSWORD, TOKEN = "pilot", "house", "a-token"


def digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


class TokenRegistry:
    """Serves ``team/app:v1`` as an index to who has the token.

    ``cuts``: after so many bytes of a layer each of the next connections breaks.
    """

    def __init__(self, *, size: int = 1000, architecture: str = "amd64") -> None:
        self.asked: list[tuple[str, str]] = []
        self.cuts: list[int] = []
        self.is_open = False
        self.lies = False
        noise = b"".join(hashlib.sha256(b"%d" % i).digest() for i in range(size // 32))
        plain = layer([File("noise", noise)])
        self.layer = gzip.compress(plain, mtime=0)
        said = {"User": "1234:5", "Entrypoint": ["/noise"], "Env": ["A=b"], "StopSignal": "SIGINT"}
        body = {
            "os": "linux", "architecture": architecture, "config": said,
            "rootfs": {"type": "layers", "diff_ids": [digest(plain)]},
        }  # fmt: skip
        self.config = json.dumps(body).encode()
        self.manifest = json.dumps({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self._describe(self.config, CONFIG),
            "layers": [self._describe(self.layer, LAYER)],
        }).encode()  # fmt: skip
        mine = self._describe(self.manifest, MANIFEST)
        other = {"mediaType": MANIFEST, "digest": digest(b"other"), "size": 5}
        self.index = json.dumps({
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": [
                {**other, "platform": {"os": "windows", "architecture": "amd64"}},
                {**mine, "platform": {"os": "linux", "architecture": architecture}},
            ],
        }).encode()  # fmt: skip

    def _describe(self, content: bytes, media_type: str) -> dict[str, object]:
        return {"mediaType": media_type, "digest": digest(content), "size": len(content)}

    def _check(self, request: web.Request) -> None:
        self.asked.append((request.path, request.headers.get("Range", "")))
        if self.is_open or request.headers.get("Authorization") == f"Bearer {TOKEN}":
            return
        realm = f'Bearer realm="http://{request.host}/token",service="house"'
        scope = f',scope="repository:{REPOSITORY}:pull"'
        raise web.HTTPUnauthorized(headers={"WWW-Authenticate": realm + scope})

    async def token(self, request: web.Request) -> web.Response:
        form = await request.post()
        known = request.headers.get("Authorization") == encode_basic_auth(USER, PASSWORD)
        if not known and (form.get("username"), form.get("password")) != (USER, PASSWORD):
            raise web.HTTPUnauthorized
        return web.json_response({"token": TOKEN, "access_token": TOKEN})

    async def give_manifest(self, request: web.Request) -> web.Response:
        self._check(request)
        named = {
            "v1": (self.index, INDEX),
            digest(self.index): (self.index, INDEX),
            digest(self.manifest): (self.manifest, MANIFEST),
        }
        if request.match_info["name"] not in named:
            raise web.HTTPNotFound
        content, media_type = named[request.match_info["name"]]
        headers = {"Docker-Content-Digest": digest(content)}
        return web.Response(body=content, content_type=media_type, headers=headers)

    async def give_blob(self, request: web.Request) -> web.StreamResponse:
        self._check(request)
        named = {digest(self.config): self.config, digest(self.layer): self.layer}
        if request.match_info["name"] not in named:
            raise web.HTTPNotFound
        content = named[request.match_info["name"]]
        if self.lies:
            content = b"\0" * len(content)
        start = request.http_range.start or 0
        response = web.StreamResponse(status=206 if start else 200)
        response.content_length = len(content) - start
        if start:
            span = f"bytes {start}-{len(content) - 1}/{len(content)}"
            response.headers["Content-Range"] = span
        await response.prepare(request)
        if self.cuts and content is self.layer:
            await response.write(content[start : start + self.cuts.pop(0)])
            assert request.transport is not None
            request.transport.close()
            return response
        await response.write(content[start:])
        return response

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """``host:port``, in the network namespace of who calls."""
        app = web.Application()
        app.router.add_get(f"/v2/{REPOSITORY}/manifests/{{name}}", self.give_manifest)
        app.router.add_get(f"/v2/{REPOSITORY}/blobs/{{name}}", self.give_blob)
        app.router.add_route("*", "/token", self.token)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()
