"""Every implementation of Storage, for the one suite."""

import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from kit.stores import real_etcd, served

from pilothouse.services.apiserver.adapters.etcd import open_etcd
from pilothouse.services.apiserver.ports import Storage
from pilothouse.services.store.embedded import open_store

_counter = itertools.count()


@pytest.fixture(scope="session")
def etcd_address() -> Iterator[str]:
    with real_etcd() as address:
        yield address


@pytest.fixture(params=["memory", "file", "our-service", "real-etcd"])
async def storage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Storage]:
    kind = request.param
    if kind == "our-service":
        async with served() as (_, address):
            client = await open_etcd([f"http://{address}"])
            yield client
            await client.close()
        return
    if kind == "real-etcd":
        address = request.getfixturevalue("etcd_address")
        store: Storage = await open_etcd([f"http://{address}"])
    else:
        path = ":memory:" if kind == "memory" else str(tmp_path / "db")
        store = await open_store(path, compact_every_seconds=0)
    yield store
    await store.close()


@pytest.fixture
def prefix() -> bytes:
    """A part of the keys that no other test has touched."""
    return b"/t%d/" % next(_counter)
