"""HTTPS to kubelets, with our client certificate, and only to the node that was meant."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import aiohttp
from yarl import URL

from pilothouse.services.machinery.errors import (
    ApiError,
    BadRequest,
    InternalError,
    NotFound,
)

CONNECT_SECONDS = 10.0
MESSAGE_BYTES_MAX = 16 * 1024 * 1024
FAULT_LENGTH_MAX = 1024

Parameters = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Credentials:
    """Files in PEM: our client certificate, its key, and who signs kubelets."""

    certificate: Path
    key: Path
    authority: Path


@dataclass(frozen=True, slots=True)
class Place:
    """Where a kubelet listens; its certificate must be for the node's name."""

    node: str
    address: str
    port: int

    def url(self, path: str, parameters: Parameters) -> URL:
        """The address of ``path``, whose segments are encoded already."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        url = URL(f"https://{host}:{self.port}{path}", encoded=True)
        return url.with_query(list(parameters)) if parameters else url


class Kubelets:
    """One client for all nodes; close it in the end."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._session: aiohttp.ClientSession | None = None
        self._context: ssl.SSLContext | None = None

    async def close(self) -> None:
        """Drop idle connections."""
        if self._session is not None:
            await self._session.close()

    @contextlib.asynccontextmanager
    async def get(
        self, place: Place, path: str, parameters: Parameters
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The kubelet's answer, to be read while it grows.

        Raises:
            ApiError: it does not answer, or refuses.
        """
        session, context = self._client()
        url = place.url(path, parameters)
        try:
            response = await session.get(url, ssl=context, server_hostname=place.node)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _unreachable(url, error) from None
        try:
            if response.status >= 400:  # noqa: PLR2004 - any refusal
                text = (await response.text())[:FAULT_LENGTH_MAX]
                raise _refused(response.status, text)
            yield response
        finally:
            response.close()

    @contextlib.asynccontextmanager
    async def dial(
        self, place: Place, path: str, parameters: Parameters, protocols: Sequence[str]
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """A WebSocket to the kubelet that speaks one of ``protocols``.

        Raises:
            ApiError: it does not answer, refuses, or speaks none of them.
        """
        session, context = self._client()
        url = place.url(path, parameters)
        told: list[str] = []
        _told.set(told)
        try:
            socket = await session.ws_connect(
                url,
                protocols=protocols,
                ssl=context,
                server_hostname=place.node,
                max_msg_size=MESSAGE_BYTES_MAX,
            )
        except aiohttp.WSServerHandshakeError as error:
            raise _refused(error.status, "".join(told)) from None
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _unreachable(url, error) from None
        try:
            if socket.protocol is None:
                raise InternalError("the kubelet speaks none of the protocols asked for")
            yield socket
        finally:
            await socket.close()

    def context(self) -> ssl.SSLContext:
        """TLS with our client certificate, to kubelets alone."""
        return self._client()[1]

    def _client(self) -> tuple[aiohttp.ClientSession, ssl.SSLContext]:
        """Made when first needed: most servers start long before anybody asks for a log."""
        if self._session is None or self._context is None:
            files = self._credentials
            self._context = ssl.create_default_context(cafile=str(files.authority))
            self._context.minimum_version = ssl.TLSVersion.TLSv1_2
            self._context.load_cert_chain(files.certificate, files.key)
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
                connector=aiohttp.TCPConnector(limit=0),
                trace_configs=[_listening()],
                auto_decompress=True,
                trust_env=False,
            )
        return self._session, self._context


# What a kubelet said when it refused an upgrade; the client library drops it.
_told: ContextVar[list[str] | None] = ContextVar("told", default=None)


def _listening() -> aiohttp.TraceConfig:
    async def keep_refusal(
        session: aiohttp.ClientSession,
        context: SimpleNamespace,
        ended: aiohttp.TraceRequestEndParams,
    ) -> None:
        del session, context
        told = _told.get()
        if told is not None and ended.response.status >= 400:  # noqa: PLR2004 - any refusal
            told.append((await ended.response.text())[:FAULT_LENGTH_MAX])

    trace = aiohttp.TraceConfig()
    trace.on_request_end.append(keep_refusal)
    return trace


def _unreachable(url: URL, error: Exception) -> ApiError:
    shown = url.with_query(None)
    return InternalError(f'Get "{shown}": {str(error) or type(error).__name__}')


_REFUSALS: Mapping[int, type[ApiError]] = {400: BadRequest, 404: NotFound}


async def refusal(head: bytes, body: asyncio.StreamReader) -> ApiError:
    """What a kubelet said instead of switching protocols."""
    lines = head.decode("latin-1").split("\r\n")
    lengths = [line.partition(":")[2] for line in lines if line.lower().startswith("content-len")]
    length = min(int(lengths[0]), FAULT_LENGTH_MAX) if lengths else 0
    try:
        text = (await body.readexactly(length)).decode(errors="replace")
    except asyncio.IncompleteReadError:
        text = ""
    status = lines[0].split()[1:2]
    return _refused(int(status[0]) if status and status[0].isdigit() else 0, text)


def _refused(status: int, text: str) -> ApiError:
    return _REFUSALS.get(status, InternalError)(text.strip() or f"the kubelet answered {status}")
