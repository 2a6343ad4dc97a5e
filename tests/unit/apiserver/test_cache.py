"""The cache: what others write into the store, lost history, and races between two servers."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import msgspec
import pytest
from kit.registry import SCHEMAS, AllowAll, Client, FakeTokens, pod, read

from pilothouse.services.apiserver.allocation.allocator import Allocator
from pilothouse.services.apiserver.cache.cache import Cache
from pilothouse.services.apiserver.cache.selection import Selection
from pilothouse.services.apiserver.kinds.catalog import builtin_catalog
from pilothouse.services.apiserver.objects.parts import Parts
from pilothouse.services.apiserver.registry import Registry
from pilothouse.services.machinery.errors import AlreadyExists, Expired, ServiceUnavailable
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.storage import Change, Compacted, Entry, Unavailable
from pilothouse.services.runtime.clock import SystemClock


async def put(client, path, text):
    return await client.registry.parts.storage.put(path.encode(), text.encode(), expect=0)


async def test_what_others_write_is_served_in_our_form(client):
    text = '{"data":{"a":"b"},"metadata":{"uid":"u","name":"c","namespace":"default"}}'
    revision = await put(client, "/registry/configmaps/default/c", text)
    await client.registry.parts.cache.wait_applied(revision, 5)
    served = await client.get("configmaps", "c")
    assert (served["kind"], served["data"]) == ("ConfigMap", {"a": "b"})
    assert served["metadata"]["resourceVersion"] == str(revision)
    changed = await client.patch("configmaps", "c", {"data": {"a": "d"}})
    assert changed["data"] == {"a": "d"}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/registry/configmaps/default/broken", "no json"),
        ("/registry/configmaps/default/list", "[1]"),
        ("/registry/configmaps/too/many/parts", "{}"),
        ("/registry/unheard/of", "{}"),
        ("/registry/", "{}"),
        ("/registry/services/default/broken", '{"metadata":1}'),
    ],
)
async def test_what_is_no_object_is_passed_over(client, path, text):
    await put(client, path, text)
    await client.create("configmaps", {"metadata": {"name": "after"}})
    assert await client.names("configmaps") == ["after"]


class Forgetful:
    """A storage whose history is gone once: what is there must be read anew."""

    def __init__(self) -> None:
        self.entries: dict[bytes, Entry] = {}
        self.revision_now = 1
        self.forget = asyncio.Event()
        self.waits = 0

    def set(self, name: str, text: str | None) -> None:
        self.revision_now += 1
        key = f"/registry/configmaps/default/{name}".encode()
        if text is None:
            del self.entries[key]
            return
        value = msgspec.json.encode({"metadata": {"name": name}, "data": {"a": text}})
        revision = self.revision_now
        self.entries[key] = Entry(key, value, revision, revision, 1)

    async def load(self, prefix: bytes) -> tuple[Sequence[Entry], int]:
        del prefix
        return list(self.entries.values()), self.revision_now

    async def watch(self, prefix: bytes, after: int) -> AsyncIterator[Sequence[Change]]:
        del prefix, after
        self.waits += 1
        if self.waits > 1:
            await asyncio.Event().wait()
        await self.forget.wait()
        raise Compacted(self.revision_now)
        yield ()


async def test_lost_history_is_read_anew_and_watchers_must_list_again():
    storage = Forgetful()
    for name in ("kept", "changed", "gone"):
        storage.set(name, "1")
    catalog = builtin_catalog()
    cache = Cache(storage, catalog, SystemClock())
    await cache.load()
    maps = cache.of(catalog.lookup("", "v1", "configmaps"))
    events = []
    maps.subscribe(lambda old, new: events.append((old and old.key.name, new and new.key.name)))
    from_start = maps.audience.open(Selection(), cache.applied)
    storage.set("changed", "2")
    storage.set("gone", None)
    storage.set("new", "1")
    async with asyncio.TaskGroup() as group:
        running = group.create_task(cache.run())
        storage.forget.set()
        await cache.wait_applied(storage.revision_now, 5)
        running.cancel()
    assert sorted(map(str, events)) == [
        "('changed', 'changed')", "('gone', None)", "(None, 'new')",
    ]  # fmt: skip
    assert [item.key.name for item in maps.items()] == ["changed", "kept", "new"]
    with pytest.raises(Expired):
        from_start.take()
    assert cache.find("", "configmaps", Key("default", "gone")) is None


@pytest.fixture
async def second(client):
    """Another server on the same store."""
    first = client.registry.parts
    cache = Cache(first.storage, first.catalog, first.clock)
    parts = Parts(
        storage=first.storage, cache=cache, catalog=first.catalog, schemas=SCHEMAS,
        authorizer=AllowAll(), tokens=FakeTokens(), clock=first.clock, allocator=Allocator(),
    )  # fmt: skip
    registry = Registry(parts)
    await cache.load()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(cache.run())
        yield Client(registry)
        running.cancel()


async def test_patches_through_two_servers_are_all_kept(client, second):
    await client.create("configmaps", {"metadata": {"name": "c"}})
    async with asyncio.TaskGroup() as group:
        for number in range(6):
            via = client if number % 2 else second
            group.create_task(via.patch("configmaps", "c", {"data": {f"k{number}": "v"}}))
    assert len((await client.get("configmaps", "c"))["data"]) == 6


async def test_a_name_is_taken_once_among_two_servers(client, second):
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_try(via)) for via in (client, second) for _ in range(3)]
    made = [task.result() for task in tasks if task.result() is not None]
    assert len(made) == 1
    assert read(await second.registry.get(second.user, second.target("pods", "web"))) == made[0]


async def _try(client):
    try:
        return await client.create("pods", pod())
    except AlreadyExists:
        return None


class Silent:
    """A storage that others write to as well, and that does not answer."""

    def __init__(self) -> None:
        self.asked = 0

    def newest(self) -> int | None:
        return None

    async def revision(self) -> int:
        self.asked += 1
        await asyncio.sleep(0)
        raise Unavailable("no answer")


async def test_who_waits_together_is_refused_together():
    storage = Silent()
    cache = Cache(storage, builtin_catalog(), SystemClock())

    async def ask():
        with pytest.raises(ServiceUnavailable, match="no answer"):
            await cache.wait_fresh()

    async with asyncio.TaskGroup() as group:
        for _ in range(10):
            group.create_task(ask())
    assert storage.asked == 2
