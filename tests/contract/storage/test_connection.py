"""The way to an etcd endpoint: certificates, restarts, and endpoints that are gone."""

import asyncio
import contextlib
from pathlib import Path

import pytest
from kit.stores import free_ports

from pilothouse.ops.pki.authority import Authority
from pilothouse.ops.pki.plan import control_plane
from pilothouse.services.apiserver.adapters.etcd import EtcdStorage, open_etcd
from pilothouse.services.machinery.storage import Unavailable
from pilothouse.services.runtime.clock import SystemClock
from pilothouse.services.runtime.rpc.server import Listen, serve
from pilothouse.services.runtime.rpc.tls import Identity
from pilothouse.services.store.embedded import open_store
from pilothouse.services.store.rpc.services import services_of


@contextlib.asynccontextmanager
async def door(path: str, listen: Listen):
    store = await open_store(path)
    try:
        async with (
            asyncio.TaskGroup() as group,
            serve(services_of(store.keyspace, group), [listen]),
        ):
            yield store
    finally:
        await store.close()


async def wait_written(client: EtcdStorage, key: bytes) -> int:
    """Write once the endpoint answers again."""
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(Unavailable):
                return await client.put(key, b"1", expect=0)
            await asyncio.sleep(0.1)


async def test_a_watch_goes_on_over_a_restart(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    listen = Listen(f"127.0.0.1:{port}", insecure=True)
    client = await open_etcd([f"http://{listen.address}"])
    seen: list[bytes] = []

    async def watch() -> None:
        async for batch in client.watch(b"/", 1):
            seen.extend(change.key for change in batch)
            if len(seen) >= 3:
                return

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        async with door(str(tmp_path / "db"), listen):
            await wait_written(client, b"/1")
            group.create_task(watch())
            while not seen:
                await asyncio.sleep(0.02)
        async with door(str(tmp_path / "db"), listen) as store:
            await store.put(b"/2", b"1", expect=0)
            await wait_written(client, b"/3")
            while len(seen) < 3:
                await asyncio.sleep(0.02)
    assert seen == [b"/1", b"/2", b"/3"]
    await client.close()


async def test_the_next_endpoint_is_asked(tmp_path: Path) -> None:
    (nobody,) = free_ports(1)
    client = await open_etcd([f"http://127.0.0.1:{nobody}", f"unix://{tmp_path}/s.sock"])
    async with door(":memory:", Listen(str(tmp_path / "s.sock"))):
        await wait_written(client, b"/1")
        assert len((await client.load(b"/"))[0]) == 1
    with pytest.raises(Unavailable):
        await client.revision()
    await client.close()


async def test_certificates_are_mutual(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path / "pki", SystemClock())
    for certificate in control_plane(("127.0.0.1",)):
        authority.ensure(certificate)
    pki = tmp_path / "pki"
    server, user = (
        Identity(pki / f"{name}.crt", pki / f"{name}.key", pki / "ca.crt")
        for name in ("apiserver", "admin")
    )
    (port,) = free_ports(1)
    async with door(":memory:", Listen(f"127.0.0.1:{port}", server)):
        known = await open_etcd([f"https://127.0.0.1:{port}"], user)
        assert await known.put(b"/1", b"1", expect=0) == 2
        await known.close()
        for stranger in (f"https://127.0.0.1:{port}", f"http://127.0.0.1:{port}"):
            unknown = await open_etcd([stranger])
            with pytest.raises(Unavailable):
                await unknown.revision()
            await unknown.close()


async def test_a_revoked_shared_lease_is_replaced() -> None:
    (port,) = free_ports(1)
    listen = Listen(f"127.0.0.1:{port}", insecure=True)
    async with door(":memory:", listen) as store:
        client = await open_etcd([f"http://{listen.address}"])
        await client.put(b"/1", b"1", expect=0, ttl_seconds=1000)
        lessor = store.keyspace.lessor
        (lease,) = lessor.leases.all()
        await lessor.revoke(lease)
        await client.put(b"/2", b"1", expect=0, ttl_seconds=1000)
        (entry,), _ = await client.load(b"/")
        assert (entry.key, entry.lease) == (b"/2", lessor.leases.all()[0].id)
        await client.close()
