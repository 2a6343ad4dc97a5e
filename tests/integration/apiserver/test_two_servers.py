"""Several API servers on one store: ours behind gRPC, and a real etcd."""

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Any

import pytest
from kit.registry import SCHEMAS, AllowAll, Client, FakeTokens, read
from kit.stores import real_etcd, served

from pilothouse.services.apiserver.adapters.etcd import EtcdStorage, open_etcd
from pilothouse.services.apiserver.advertising import Advertising
from pilothouse.services.apiserver.allocation.allocator import Allocator
from pilothouse.services.apiserver.bootstrap import bootstrap
from pilothouse.services.apiserver.cache.cache import Cache
from pilothouse.services.apiserver.cache.compaction import Compaction
from pilothouse.services.apiserver.kinds.catalog import builtin_catalog
from pilothouse.services.apiserver.objects.parts import Parts
from pilothouse.services.apiserver.registry import Registry
from pilothouse.services.machinery.errors import AlreadyExists, Expired, Invalid, ServiceUnavailable
from pilothouse.services.runtime.clock import SystemClock


@dataclass
class Server:
    """A registry of its own over a store that others use too."""

    storage: EtcdStorage
    address: str
    client: Client = field(init=False)
    advertising: Advertising = field(init=False)
    following: asyncio.Task[None] = field(init=False)

    async def start(self, group: asyncio.TaskGroup, node_ports: tuple[int, int]) -> "Server":
        clock, catalog = SystemClock(), builtin_catalog()
        cache = Cache(self.storage, catalog, clock)
        registry = Registry(
            Parts(
                storage=self.storage, cache=cache, catalog=catalog, schemas=SCHEMAS,
                authorizer=AllowAll(), tokens=FakeTokens(), clock=clock,
                allocator=Allocator("10.96.0.0/24", node_ports),
            )
        )  # fmt: skip
        await cache.load()
        self.following = group.create_task(cache.run())
        self.client = Client(registry)
        self.advertising = Advertising(registry, self.address, 6443)
        await bootstrap(registry, await self.advertising.renew(), 6443, (), "10.96.0.0/24")
        return self

    @property
    def cache(self) -> Cache:
        return self.client.registry.parts.cache


@pytest.fixture(params=["ours", "etcd"])
async def pair(request):
    async with contextlib.AsyncExitStack() as stack:
        if request.param == "ours":
            _, address = await stack.enter_async_context(served())
        else:
            address = stack.enter_context(real_etcd())
        storages = [await open_etcd([f"http://{address}"]) for _ in range(2)]
        async with asyncio.TaskGroup() as group:
            servers = [
                await Server(storage, f"10.0.0.{number}").start(group, (30000, 30011))
                for number, storage in enumerate(storages, 1)
            ]
            yield servers
            for server in servers:
                server.following.cancel()
        for storage in storages:
            await storage.close()


def config(name: str, **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": data}


async def test_each_reads_what_the_other_wrote(pair):
    one, two = (server.client for server in pair)
    for number in range(30):
        writer, reader = (one, two) if number % 2 else (two, one)
        made = await writer.create("configmaps", config(f"c{number}"))
        assert await reader.get("configmaps", f"c{number}") == made
        assert f"c{number}" in await writer.names("configmaps")
        made["data"] = {"n": str(number)}
        changed = await reader.update("configmaps", f"c{number}", made)
        listing = await writer.list("configmaps")
        assert changed in [read(item) for item in listing.items]
        assert listing.revision >= int(changed["metadata"]["resourceVersion"])
    with pytest.raises(AlreadyExists):
        await two.create("configmaps", config("c1"))
    await one.create("namespaces", {"metadata": {"name": "fresh"}})
    await two.create("configmaps", config("there"), namespace="fresh")


async def test_watchers_of_both_see_one_order(pair):
    one, two = (server.client for server in pair)
    revision = str((await one.list("configmaps")).revision)
    watches = [client.watch("configmaps", resource_version=revision) for client in (one, two)]

    async def write(client: Client, name: str) -> None:
        for number in range(15):
            await client.create("configmaps", config(f"{name}{number}"))
            await client.patch("configmaps", f"{name}{number}", {"data": {"x": "y"}})
            await client.delete("configmaps", f"{name}{number}")

    async with asyncio.TaskGroup() as group:
        for client, name in ((one, "a"), (two, "b")):
            group.create_task(write(client, name))
    orders = []
    for watch in watches:
        events: list[Any] = []
        async for batch in watch:
            events += [(event.type, event.object.revision, event.object.json) for event in batch]
            if len(events) == 90:
                break
        orders.append(events)
        await watch.aclose()
    assert orders[0] == orders[1]
    revisions = [revision for _, revision, _ in orders[0]]
    assert revisions == sorted(set(revisions))


def service(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}], **spec}}


async def test_no_address_and_no_port_is_given_twice(pair):
    one, two = (server.client for server in pair)
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(client.create("services", service(f"{name}{n}", type="NodePort")))
            for client, name in ((one, "a"), (two, "b"))
            for n in range(5)
        ]
    made = [task.result() for task in tasks]
    addresses = {item["spec"]["clusterIP"] for item in made}
    assert len(addresses) == 10
    assert len({item["spec"]["ports"][0]["nodePort"] for item in made}) == 10
    assert addresses < set(await one.names("networking.k8s.io/ipaddresses"))
    taken = made[0]["spec"]
    with pytest.raises(Invalid, match="provided IP is already allocated"):
        await two.create("services", service("c", clusterIP=taken["clusterIP"]))
    ports = [{"port": 80, "nodePort": taken["ports"][0]["nodePort"]}]
    with pytest.raises(Invalid, match="provided port is already allocated"):
        await two.create("services", service("c", type="NodePort", ports=ports))
    await two.delete("services", "a0")
    wanted = service("c", type="NodePort", ports=ports, clusterIP=taken["clusterIP"])
    again = await one.create("services", wanted)
    address = await two.get("networking.k8s.io/ipaddresses", again["spec"]["clusterIP"])
    assert address["spec"]["parentRef"] == {
        "resource": "services", "namespace": "default", "name": "c",
    }  # fmt: skip
    assert (await one.get("networking.k8s.io/servicecidrs", "kubernetes"))["spec"] == {
        "cidrs": ["10.96.0.0/24"]
    }


async def test_what_a_killed_server_held_is_given_back(pair, monkeypatch):
    one, two = pair
    claims = one.client.registry.parts.claims
    document = service("lost", type="NodePort")
    document["metadata"] |= {"namespace": "default", "uid": "u"}
    document["spec"]["ports"][0]["nodePort"] = 30007
    await claims.hold(document, "u2", dry_run=False)
    wanted = service("new", type="NodePort", ports=[{"port": 80, "nodePort": 30007}])
    with pytest.raises(Invalid):
        await two.client.create("services", wanted)
    monkeypatch.setattr("pilothouse.services.apiserver.allocation.claims.STALE_SECONDS", -1.0)
    made = await two.client.create("services", service("new2", type="NodePort", ports=[
        {"port": 80, "nodePort": 30007}]))  # fmt: skip
    assert made["spec"]["ports"][0]["nodePort"] == 30007
    await two.client.registry.parts.claims.repair(two.cache.objects("", "services"))
    lost = document["spec"]["clusterIP"]
    assert lost not in await one.client.names("networking.k8s.io/ipaddresses")


async def test_endpoints_are_those_who_live(pair):
    one, two = pair

    async def shown() -> list[str]:
        endpoints = await one.client.get("endpoints", "kubernetes")
        return [item["ip"] for item in endpoints["subsets"][0]["addresses"]]

    assert await shown() == ["10.0.0.1", "10.0.0.2"]
    slice_ = await two.client.get("discovery.k8s.io/endpointslices", "kubernetes")
    assert len(slice_["endpoints"]) == 2
    await two.advertising.withdraw()
    assert await shown() == ["10.0.0.1"]


async def test_what_is_no_object_delays_no_reader(pair):
    one, two = pair
    await one.storage.put(b"/elsewhere", b"1", expect=0)
    async with asyncio.timeout(2):
        await two.client.list("configmaps")
        listing = await one.client.list("configmaps")
    assert listing.revision >= await one.storage.revision()


async def test_servers_compact_by_turns_and_agree(pair):
    one, two = pair
    loops = [Compaction(server.storage, server.cache, SystemClock(), 300) for server in (one, two)]
    listing = await one.client.list("namespaces", limit=1)
    await one.client.create("configmaps", config("a"))
    for _ in range(3):
        for loop in loops:
            await loop.tick()
    for server in (one, two):
        with pytest.raises(Expired):
            await server.client.list("namespaces", continue_token=listing.continue_token)


async def test_a_store_that_is_gone_gives_no_old_answers():
    async with contextlib.AsyncExitStack() as stack:
        store = contextlib.AsyncExitStack()
        _, address = await store.enter_async_context(served())
        storage = await open_etcd([f"http://{address}"])
        group = await stack.enter_async_context(asyncio.TaskGroup())
        server = await Server(storage, "10.0.0.1").start(group, (30000, 30011))
        await server.client.create("configmaps", config("a"))
        await store.aclose()
        with pytest.raises(ServiceUnavailable):
            await server.client.get("configmaps", "a")
        with pytest.raises(ServiceUnavailable):
            await server.client.create("configmaps", config("b"))
        assert await server.client.names("configmaps", resource_version="0") == ["a"]
        server.following.cancel()
        await storage.close()
