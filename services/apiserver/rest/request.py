"""A request with what its answer is to say besides, and what its beginning ends."""

from collections.abc import Callable

from typing_extensions import override

from pilothouse.services.runtime import web

Headers = tuple[tuple[str, str], ...]
AUDIT_ID = "Audit-Id"
AUDIT_ID_LENGTH_MAX = 64


class Request(web.BaseRequest):
    """aiohttp's, and a word with every answer before its head is sent.

    ``told`` goes into the head; ``opened`` is called once, when the head goes out.
    """

    told: Headers = ()
    opened: Callable[[], None] | None = None

    @override
    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        headers = response.headers
        # Whose software answers is nobody's business.
        headers.popall("Server", None)
        if "Cache-Control" not in headers:
            headers["Cache-Control"] = "no-cache, private"
        for name, value in self.told:
            headers.add(name, value)
        if self.opened is not None:
            self.opened()


class AuditIds:
    """An id for each request: the client's own, or one of ours that nobody else gives."""

    def __init__(self, seed: int) -> None:
        """``seed`` is a random number of 74 bits."""
        high = f"{seed & (1 << 48) - 1:012x}"
        self._head = f"{high[:8]}-{high[8:]}-4{seed >> 48 & 0xFFF:03x}-a{seed >> 60 & 0xFFF:03x}-"
        self._number = 0

    def of(self, given: str | None) -> str:
        if given:
            return given[:AUDIT_ID_LENGTH_MAX]
        self._number += 1
        return f"{self._head}{self._number:012x}"
