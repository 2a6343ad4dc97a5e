"""A real etcd that is away, hangs, or has forgotten: what its clients here make of it."""

import asyncio
import signal

import pytest
from kit.stores import etcd_process, free_ports

from pilothouse.services.apiserver.adapters import etcd as adapter
from pilothouse.services.apiserver.adapters.etcd import open_etcd
from pilothouse.services.apiserver.cache.cache import Cache
from pilothouse.services.apiserver.cache.selection import parse_selection
from pilothouse.services.apiserver.kinds.catalog import builtin_catalog
from pilothouse.services.machinery.errors import Expired
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.storage import Unavailable, Undecided
from pilothouse.services.runtime.clock import SystemClock


@pytest.fixture(scope="module")
def etcd():
    with etcd_process() as running:
        yield running


@pytest.fixture
async def storage(etcd):
    opened = await open_etcd([f"http://{etcd.address}"])
    yield opened
    await opened.close()


async def test_a_write_that_was_never_sent_is_certain(monkeypatch):
    monkeypatch.setattr(adapter, "REQUEST_SECONDS", 1.0)
    (port,) = free_ports(1)
    nowhere = await open_etcd([f"http://127.0.0.1:{port}"])
    with pytest.raises(Unavailable) as refused:
        await nowhere.put(b"/k", b"v", expect=0)
    assert not isinstance(refused.value, Undecided)
    await nowhere.close()


async def test_of_several_endpoints_one_that_is_not_there_is_passed_over(etcd):
    (port,) = free_ports(1)
    several = await open_etcd([f"http://127.0.0.1:{port}", f"http://{etcd.address}"])
    revision = await several.put(b"/passed", b"v", expect=0)
    assert await several.revision() >= revision
    await several.close()


async def test_a_write_without_an_answer_is_not(etcd, storage, monkeypatch):
    monkeypatch.setattr(adapter, "REQUEST_SECONDS", 0.3)
    await storage.put(b"/there", b"v", expect=0)
    etcd.process.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(Undecided):
            await storage.put(b"/hangs", b"v", expect=0)
    finally:
        etcd.process.send_signal(signal.SIGCONT)
    monkeypatch.setattr(adapter, "REQUEST_SECONDS", 5.0)
    await storage.put(b"/again", b"v", expect=0)


def object_named(name):
    text = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"namespace":"default","name":"%s"}}'
    return (text % name).encode()


MAPS = b"/registry/configmaps/default/"


async def compacted_under(cache, storage):
    """Load the cache, then change everything and have the store forget how that came about."""
    for name in ("kept", "gone", "changed"):
        await storage.put(MAPS + name.encode(), object_named(name), expect=0)
    await cache.load()
    entries, _ = await storage.load(MAPS)
    revisions = {entry.key.rpartition(b"/")[2]: entry.mod_revision for entry in entries}
    await storage.delete(MAPS + b"gone", expect=revisions[b"gone"])
    await storage.put(MAPS + b"changed", object_named("changed"), expect=revisions[b"changed"])
    await storage.put(MAPS + b"new", object_named("new"), expect=0)
    await storage.compact(await storage.revision())
    return revisions[b"changed"]


def fails_once(load):
    """A way to read that is refused the first time."""
    refused = []

    async def once(prefix, revision=0):
        if not refused:
            refused.append(prefix)
            raise Unavailable("not now")
        return await load(prefix, revision)

    return once


async def test_what_was_compacted_meanwhile_is_read_anew(storage, monkeypatch):
    """Even when the store goes just then: it is asked again.

    Whoever watches is told to list again, and the list has all and nothing more.
    """
    catalog = builtin_catalog()
    kind = catalog.lookup("", "v1", "configmaps")
    cache = Cache(storage, catalog, SystemClock())
    before = await compacted_under(cache, storage)
    objects = cache.of(kind)
    told = []
    objects.subscribe(lambda old, new: told.append((old is None, new is None)))
    watcher = objects.audience.open(parse_selection(kind, "default", "", ""), cache.applied)
    monkeypatch.setattr(storage, "load", fails_once(storage.load))
    async with asyncio.TaskGroup() as group:
        following = group.create_task(cache.run())
        async with asyncio.timeout(5):
            await cache.wait_fresh()
            await watcher.wait()
        following.cancel()
    names = [item.stored.key.name for item in objects.items("default")]
    assert names == ["changed", "kept", "new"]
    assert objects.get(Key("default", "changed")).stored.revision > before
    assert sorted(told) == [(False, False), (False, True), (True, False)]
    with pytest.raises(Expired):
        watcher.take()
