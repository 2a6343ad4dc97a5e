"""A client of the OCI distribution API: manifests and blobs of one repository.

::

    GET /v2/<repository>/manifests/<tag or digest> ─▶ 401 challenge ─▶ token ─▶ again
    GET /v2/<repository>/blobs/<digest>, Range: bytes=<offset>-

Hosts are asked in their order; the last one's error is the answer.
"""

import hashlib
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from http import HTTPStatus

import aiohttp

from pilothouse.cri_shim.images import credentials, manifests
from pilothouse.cri_shim.images.credentials import Credentials, Given
from pilothouse.cri_shim.images.hosts import Host
from pilothouse.cri_shim.images.manifests import Descriptor
from pilothouse.services.machinery.errors import (
    ApiError,
    Forbidden,
    InternalError,
    NotFound,
    ServiceUnavailable,
    TooManyRequests,
    Unauthorized,
)
from pilothouse.services.machinery.images import Reference

CHUNK_BYTES = 256 * 1024
CONNECT_SECONDS = 30.0
SILENCE_SECONDS = 60.0
"""How long a registry may send nothing."""
TOKEN_BYTES_MAX = 1024 * 1024
_TIMEOUT = aiohttp.ClientTimeout(
    total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS
)
_REFUSED = "pull access denied, repository does not exist or may require authorization"


def open_session() -> aiohttp.ClientSession:
    """One for all pulls; closing it is the caller's."""
    return aiohttp.ClientSession(timeout=_TIMEOUT, auto_decompress=False, trust_env=True)


def verify(digest: str, content: bytes) -> None:
    """ValueError when ``content`` is not what ``digest`` says."""
    algorithm, _, encoded = digest.partition(":")
    if algorithm not in {"sha256", "sha384", "sha512"}:
        raise ValueError(f"unsupported digest algorithm {algorithm}")
    found = hashlib.new(algorithm, content).hexdigest()
    if found != encoded:
        raise ValueError(f"digest mismatch: expected {digest}, got {algorithm}:{found}")


class Repository:
    """One repository during one pull: it remembers who it is at each host."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        reference: Reference,
        hosts: Sequence[Host],
        given: Given | None = None,
    ) -> None:
        self._session = session
        self._reference = reference
        self._hosts = [host for host in hosts if "pull" in host.capabilities]
        self._given = given or Given()
        self._authorization: dict[str, str] = {}
        self._contexts: dict[Host, ssl.SSLContext | bool] = {}

    async def resolve(self) -> tuple[Descriptor, bytes]:
        """What the reference stands for, and its manifest or index."""
        wanted = self._reference.object
        hosts = [host for host in self._hosts if "resolve" in host.capabilities]
        if self._reference.digest:
            hosts = self._hosts
        media_type, content = await self._manifest(hosts, wanted)
        digest = self._reference.digest or "sha256:" + hashlib.sha256(content).hexdigest()
        self._verify(digest, content)
        return Descriptor(digest, len(content), media_type), content

    async def manifest(self, wanted: Descriptor) -> bytes:
        """A manifest by its digest."""
        _, content = await self._manifest(self._hosts, wanted.digest)
        self._verify(wanted.digest, content)
        return content

    def _verify(self, digest: str, content: bytes) -> None:
        try:
            verify(digest, content)
        except ValueError as error:
            raise InternalError(f"{self._reference}: {error}") from error

    async def _manifest(self, hosts: Sequence[Host], wanted: str) -> tuple[str, bytes]:
        async with AsyncExitStack() as stack:
            accept = {"Accept": ", ".join((*manifests.ACCEPT, "*/*"))}
            answer = await self._get(stack, hosts, f"manifests/{wanted}", accept)
            content = await _bounded(answer, manifests.MANIFEST_BYTES_MAX)
            return answer.content_type, content

    async def blob(self, wanted: Descriptor, offset: int = 0) -> AsyncIterator[bytes]:
        """Its content from ``offset`` on; never more than the descriptor promises."""
        left = wanted.size - offset
        async with AsyncExitStack() as stack:
            headers = {"Range": f"bytes={offset}-"} if offset else {}
            answer = await self._get(stack, self._hosts, f"blobs/{wanted.digest}", headers)
            skipped = offset if answer.status == HTTPStatus.OK else 0
            try:
                async for chunk in answer.content.iter_chunked(CHUNK_BYTES):
                    fresh = chunk[skipped:]
                    skipped -= len(chunk) - len(fresh)
                    if len(fresh) > left:
                        raise InternalError(f"{wanted.digest}: more than {wanted.size} bytes came")
                    left -= len(fresh)
                    if fresh:
                        yield fresh
            except (aiohttp.ClientError, TimeoutError) as error:
                raise ServiceUnavailable(f"{wanted.digest}: {_said(error)}") from error
        if left:
            raise ServiceUnavailable(f"{wanted.digest}: unexpected EOF, {left} bytes are missing")

    async def _get(
        self,
        stack: AsyncExitStack,
        hosts: Sequence[Host],
        path: str,
        headers: Mapping[str, str],
    ) -> aiohttp.ClientResponse:
        problem: ApiError = NotFound(f"{self._reference}: no host serves it")
        for host in hosts:
            try:
                return await self._ask(stack, host, path, headers)
            except ApiError as error:
                problem = error
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                text = f'failed to do request: Get "{host.url}": {_said(error)}'
                problem = ServiceUnavailable(text)
        raise problem

    async def _ask(
        self, stack: AsyncExitStack, host: Host, path: str, headers: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        """One host's answer, as somebody it knows when it asks who we are."""
        url = f"{host.url}/{self._reference.path}/{path}"
        if host.is_mirror:
            url += f"?ns={self._reference.domain}"
        for is_last in (False, True):
            known = self._authorization.get(host.name)
            sent = {**headers, **({"Authorization": known} if known else {})}
            for name, value in host.headers:
                sent.setdefault(name, value)
            answer = await stack.enter_async_context(
                self._session.get(url, headers=sent, ssl=self._context(host))
            )
            if answer.status in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
                return answer
            refused = answer.status == HTTPStatus.UNAUTHORIZED
            if refused and not is_last and await self._identify(host, answer):
                continue
            raise await self._problem(url, answer)
        raise AssertionError("the last one returns or raises")

    async def _problem(self, url: str, answer: aiohttp.ClientResponse) -> ApiError:
        status = HTTPStatus(answer.status)
        if status == HTTPStatus.NOT_FOUND:
            return NotFound(f"{self._reference}: not found")
        if status == HTTPStatus.UNAUTHORIZED:
            return Unauthorized(
                f"{_REFUSED}: server message: insufficient_scope: authorization failed"
            )
        text = f"unexpected status from GET request to {url}: {status.value} {status.phrase}"
        if status == HTTPStatus.FORBIDDEN:
            return Forbidden(text)
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            return TooManyRequests(text)
        return ServiceUnavailable(text)

    async def _identify(self, host: Host, answer: aiohttp.ClientResponse) -> bool:
        """Take a challenge up; False when there is nothing to try."""
        who = credentials.read(self._given, host.name)
        for header in answer.headers.getall("WWW-Authenticate", []):
            for challenge in credentials.challenges(header):
                if challenge.scheme == "basic" and who.basic:
                    found = who.basic
                elif challenge.scheme == "bearer":
                    found = "Bearer " + await self._token(host, challenge, who)
                else:
                    continue
                is_new = self._authorization.get(host.name) != found
                self._authorization[host.name] = found
                return is_new
        return False

    async def _token(self, host: Host, challenge: credentials.Challenge, who: Credentials) -> str:
        if who.registry_token:
            return who.registry_token
        realm = challenge.parameters.get("realm", "")
        if not realm.startswith(("http://", "https://")):
            raise Unauthorized(f"{self._reference}: the challenge names no token server")
        query = credentials.token_query(challenge, self._reference, who)
        context = self._context(host)
        if who.identity_token:
            call = self._session.post(realm, data=query, ssl=context)
        else:
            headers = {"Authorization": who.basic} if who.basic else {}
            url = credentials.token_url(challenge, query)
            call = self._session.get(url, headers=headers, ssl=context)
        async with call as answer:
            if answer.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
                raise Unauthorized(
                    "failed to authorize: failed to fetch oauth token: unexpected status from "
                    f"GET request to {realm}: {answer.status} {answer.reason}"
                )
            if answer.status != HTTPStatus.OK:
                raise ServiceUnavailable(f"token server {realm}: {answer.status} {answer.reason}")
            return credentials.token_of(await _bounded(answer, TOKEN_BYTES_MAX))

    def _context(self, host: Host) -> ssl.SSLContext | bool:
        if host not in self._contexts:
            self._contexts[host] = _context(host)
        return self._contexts[host]


def _context(host: Host) -> ssl.SSLContext | bool:
    if not (host.skip_verify or host.authorities or host.clients):
        return True
    context = ssl.create_default_context()
    for path in host.authorities:
        context.load_verify_locations(path)
    for certificate, key in host.clients:
        context.load_cert_chain(certificate, key or None)
    if host.skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


async def _bounded(answer: aiohttp.ClientResponse, most: int) -> bytes:
    content = await answer.content.read(most + 1)
    while len(content) <= most and not answer.content.at_eof():
        content += await answer.content.read(most + 1 - len(content))
    if len(content) > most:
        raise InternalError(f"{answer.url}: more than {most} bytes")
    return content


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__
