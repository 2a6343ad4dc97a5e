"""The API server's REST door, for what is not stored and so not in the mesh.

aiohttp's client comes along when something is read for the first time.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass

from pilothouse.services.runtime.rpc.tls import Identity

READ_SECONDS_MAX = 30.0
_OK = 200


class Unreachable(Exception):
    """Nobody answered; why."""


@dataclass(frozen=True, slots=True)
class Server:
    """The address of the door, and whom to be there."""

    url: str
    identity: Identity | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """``is_json`` as its sender says."""

    status: int
    is_json: bool
    body: bytes

    @property
    def is_ok(self) -> bool:
        return self.status == _OK


class RestDoor:
    """Reads at ``server``; without one nothing can be read."""

    def __init__(self, server: Server | None) -> None:
        self._server = server
        self._tls: ssl.SSLContext | None = None

    async def get(self, path: str, query: Mapping[str, str]) -> Answer:
        """What is at ``path``, which begins with a slash. Raises Unreachable."""
        import aiohttp  # noqa: PLC0415 - few clusters have something to read here

        if self._server is None:
            raise Unreachable("no API server is given by --master")
        wanted = {name: value for name, value in query.items() if value}
        patience = aiohttp.ClientTimeout(total=READ_SECONDS_MAX)
        connector = aiohttp.TCPConnector(ssl=self._context(self._server), force_close=True)
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=patience) as session,
                session.get(f"{self._server.url}{path}", params=wanted) as answer,
            ):
                is_json = answer.content_type == "application/json"
                return Answer(answer.status, is_json, await answer.read())
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unreachable(str(error) or "timeout") from error

    def _context(self, server: Server) -> ssl.SSLContext | bool:
        if server.identity is None:
            return True
        if self._tls is None:
            self._tls = ssl.create_default_context(cafile=str(server.identity.authority))
            self._tls.load_cert_chain(server.identity.certificate, server.identity.key)
        return self._tls
