"""HTTP to pods, Services' endpoints and nodes, on behalf of a client; bodies are never gathered."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from dataclasses import dataclass

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from pilothouse.services.machinery.errors import ServiceUnavailable

CONNECT_SECONDS = 30.0
HEAD_BYTES_MAX = 64 * 1024

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True, slots=True)
class Dialled:
    """Where to connect; with ``context`` over TLS, to who has a certificate for ``name``."""

    host: str
    port: int
    context: ssl.SSLContext | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of it: ``target`` is path and query, both encoded."""

    method: str
    target: str
    headers: CIMultiDict[str]
    body: AsyncIterable[bytes] | None = None


def unverified() -> ssl.SSLContext:
    """TLS to a pod: nobody vouches for its certificate, as with the real server."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Backends:
    """One client for all; close it in the end."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Drop idle connections."""
        if self._session is not None:
            await self._session.close()

    @contextlib.asynccontextmanager
    async def request(self, to: Dialled, asked: Asked) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer, its body still to be read, neither decoded nor redirected.

        Raises:
            ServiceUnavailable: nobody answers.
        """
        scheme = "https" if to.context is not None else "http"
        host = f"[{to.host}]" if ":" in to.host else to.host
        url = URL(f"{scheme}://{host}:{to.port}{asked.target}", encoded=True)
        try:
            response = await self._client().request(
                asked.method,
                url,
                headers=asked.headers,
                data=asked.body,
                allow_redirects=False,
                ssl=to.context if to.context is not None else True,
                server_hostname=to.name or None,
            )
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise unreachable(to, error) from None
        try:
            yield response
        finally:
            response.close()

    @contextlib.asynccontextmanager
    async def upgrade(self, to: Dialled, asked: Asked) -> AsyncIterator[tuple[bytes, Streams]]:
        """The head of the answer to an upgrade, and the connection behind it.

        Raises:
            ServiceUnavailable: nobody answers, or what answers is no HTTP.
        """
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                reader, writer = await asyncio.open_connection(
                    to.host,
                    to.port,
                    ssl=to.context,
                    server_hostname=(to.name or to.host) if to.context is not None else None,
                    limit=HEAD_BYTES_MAX,
                )
        except (OSError, TimeoutError) as error:
            raise unreachable(to, error) from None
        try:
            writer.write(_head(asked))
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
                raise unreachable(to, error) from None
            yield head, (reader, writer)
        finally:
            writer.close()

    def _client(self) -> aiohttp.ClientSession:
        """Made when first needed: most servers start long before anybody proxies."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
                connector=aiohttp.TCPConnector(limit=0, force_close=True),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=_SKIPPED,
                auto_decompress=False,
                trust_env=False,
            )
        return self._session


_SKIPPED: Sequence[str] = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


def _head(asked: Asked) -> bytes:
    lines = [f"{asked.method} {asked.target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in asked.headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")


def unreachable(to: Dialled, error: Exception) -> ServiceUnavailable:
    """In the words that people search for."""
    host = f"[{to.host}]" if ":" in to.host else to.host
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, ConnectionRefusedError):
        why = f"dial tcp {host}:{to.port}: connect: connection refused"
    elif isinstance(cause, TimeoutError):
        why = f"dial tcp {host}:{to.port}: i/o timeout"
    elif isinstance(cause, OSError) and cause.strerror:
        why = f"dial tcp {host}:{to.port}: connect: {cause.strerror.lower()}"
    else:
        why = str(cause) or type(cause).__name__
    return ServiceUnavailable(f"error trying to reach service: {why}")
