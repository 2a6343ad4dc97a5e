"""The gRPC door, through the client that our own components use."""

import asyncio
import tempfile
from pathlib import Path

import msgspec
import pytest
from kit.registry import pod

from pilothouse.services.apiserver.rpc.objects import service
from pilothouse.services.machinery.errors import AlreadyExists, Conflict, Invalid, NotFound
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import CONFIG_MAPS, PODS
from pilothouse.services.runtime.client.cache import Cache
from pilothouse.services.runtime.client.objects import Objects, Selection
from pilothouse.services.runtime.rpc.channel import open_channel
from pilothouse.services.runtime.rpc.server import Listen, serve

WEB = Key("default", "web")


@pytest.fixture
async def objects(client):
    registry = client.registry
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "apiserver.sock"))
        door = service(registry, registry.parts.catalog)
        async with serve([door], [Listen(path)]), open_channel(f"unix://{path}") as channel:
            yield Objects(channel)


async def test_an_objects_life(objects):
    made = msgspec.json.decode(await objects.create(PODS, "default", pod()))
    assert made["metadata"]["uid"]
    assert msgspec.json.decode(await objects.get(PODS, WEB)) == made
    body = {"metadata": {"name": "web"}, "target": {"name": "node-1"}}
    await objects.create(PODS, "default", body, name="web", subresource="binding")
    status = {"status": {"phase": "Running"}}
    patched = msgspec.json.decode(await objects.patch(PODS, WEB, status, subresource="status"))
    assert (patched["spec"]["nodeName"], patched["status"]["phase"]) == ("node-1", "Running")
    listed, revision = await objects.list(PODS, Selection("default", labels="app=web"))
    assert msgspec.json.decode(listed[0]) == patched
    assert revision >= int(patched["metadata"]["resourceVersion"])
    await objects.delete(PODS, WEB, uid=made["metadata"]["uid"], grace_period_seconds=0)
    with pytest.raises(NotFound, match='pods "web" not found'):
        await objects.get(PODS, WEB)


async def test_refusals_keep_their_reason_and_causes(objects):
    await objects.create(CONFIG_MAPS, "default", {"metadata": {"name": "c"}})
    with pytest.raises(AlreadyExists):
        await objects.create(CONFIG_MAPS, "default", {"metadata": {"name": "c"}})
    with pytest.raises(Conflict):
        await objects.patch(CONFIG_MAPS, Key("default", "c"), {"metadata": {"uid": "another"}})
    with pytest.raises(Invalid) as refused:
        await objects.create(PODS, "default", pod("Bad"))
    assert refused.value.causes[0].field == "metadata.name"


async def test_a_cache_follows(objects):
    await objects.create(PODS, "default", pod("first"))
    cache = Cache(objects, PODS, Pod)
    changes: asyncio.Queue[tuple[Pod | None, Pod | None]] = asyncio.Queue()
    cache.on_change(lambda old, new: changes.put_nowait((old, new)))
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        running = group.create_task(cache.run())
        await cache.wait_synced()
        assert [item.metadata.name for item in cache.values()] == ["first"]
        await changes.get()
        await objects.create(PODS, "default", pod())
        old, new = await changes.get()
        assert (old, new.metadata.name) == (None, "web")
        await objects.patch(PODS, WEB, {"metadata": {"labels": {"x": "y"}}})
        old, new = await changes.get()
        assert new.metadata.labels["x"] == "y"
        await objects.delete(PODS, WEB)
        old, new = await changes.get()
        assert (old.metadata.name, new) == ("web", None)
        running.cancel()
