"""Static pod manifests from a web server: one pod, or a list of them."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp

from pilothouse.services.kubelet.adapters.manifests.directory import BYTES_MAX, decode
from pilothouse.services.kubelet.manifests.static_pods import HTTP
from pilothouse.services.runtime import telemetry

CALL_SECONDS_MAX = 10.0


class ManifestUrl:
    """Asked every ``check_seconds``; as long as it does not answer, nothing changes."""

    name = HTTP

    def __init__(
        self, url: str, headers: Mapping[str, Sequence[str]], check_seconds: float
    ) -> None:
        self._url = url
        self._headers = [(name, value) for name, values in headers.items() for value in values]
        self._check_seconds = check_seconds
        self._last = b""
        self._log = telemetry.logger(part="manifests")

    async def read(self) -> dict[str, list[Any]] | None:
        """The documents, when they are others than last time."""
        try:
            content = await self._fetch()
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            self._log.warning("failed to read pods from URL", url=self._url, error=str(error))
            return None
        if content == self._last:
            return None
        self._last = content
        return {self._url: decode(content)}

    async def _fetch(self) -> bytes:
        limit = aiohttp.ClientTimeout(total=CALL_SECONDS_MAX)
        async with (
            aiohttp.ClientSession(timeout=limit, trust_env=False) as session,
            session.get(self._url, headers=self._headers) as answer,
        ):
            if answer.status != 200:  # noqa: PLR2004 - well
                raise ValueError(f"{self._url}: {answer.status} {answer.reason}")
            content = await answer.content.read(BYTES_MAX + 1)
            while len(content) <= BYTES_MAX and not answer.content.at_eof():
                content += await answer.content.read(BYTES_MAX)
        if not content:
            raise ValueError(f"zero-length data received from {self._url}")
        if len(content) > BYTES_MAX:
            raise ValueError(f"more than {BYTES_MAX} bytes received from {self._url}")
        return content

    async def wait_changed(self) -> None:
        """A web server does not tell."""
        await asyncio.sleep(self._check_seconds)
