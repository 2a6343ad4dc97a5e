"""Sessions of aiohttp with a cluster's certificates."""

import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp


@contextlib.asynccontextmanager
async def administrator(pki: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """As many connections as are asked for, aborted in the end.

    A TLS connection that says good-bye outlives its session, and with it the test's event loop.
    """
    context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
    connector = aiohttp.TCPConnector(limit=0, ssl=context)
    try:
        async with aiohttp.ClientSession(connector=connector, connector_owner=False) as session:
            yield session
    finally:
        await connector.close(abort_ssl=True)
