"""Watchers that keep up, and those that do not."""

import asyncio

import pytest

from pilothouse.services.machinery.storage import Compacted
from pilothouse.services.store import hub
from pilothouse.services.store.embedded import open_store
from pilothouse.services.store.spans import Span, of_prefix, of_request


async def test_a_slow_consumer_loses_nothing_and_costs_no_memory(monkeypatch) -> None:
    monkeypatch.setattr(hub, "QUEUED_CHANGES_MAX", 10)
    monkeypatch.setattr(hub, "REPLAY_CHANGES", 7)
    store = await open_store(":memory:")
    stream = store.watch(b"/", 1)
    revision = await store.put(b"/k", b"0", expect=0)
    seen = [change.revision for change in await anext(stream)]
    for number in range(100):
        revision = await store.put(b"/k", b"%d" % number, expect=revision)
        await store.put(b"/other/%d" % number, b"", expect=0)
        assert all(watcher._queued <= 10 for watcher in store.keyspace._hub._all())
    while seen[-1] < revision:
        seen += [change.revision for change in await anext(stream)]
    assert seen[0] == 2
    assert seen == list(range(2, seen[-1] + 1))
    revision = await store.put(b"/k", b"live", expect=revision)
    while seen[-1] < revision:
        seen += [change.revision for change in await anext(stream)]
    assert seen == list(range(2, revision + 1))
    await stream.aclose()
    await store.close()


async def test_a_consumer_too_slow_for_history_is_cut_off(monkeypatch) -> None:
    monkeypatch.setattr(hub, "QUEUED_CHANGES_MAX", 3)
    store = await open_store(":memory:")
    stream = store.watch(b"/", 1)
    revision = await store.put(b"/k", b"", expect=0)
    await anext(stream)
    for _ in range(10):
        revision = await store.put(b"/k", b"", expect=revision)
    await store.compact(revision)
    with pytest.raises(Compacted) as cut_off:
        await anext(stream)
    assert cut_off.value.oldest == revision
    await store.close()


async def test_an_overflow_asks_only_for_what_was_missed(monkeypatch) -> None:
    """A watcher of quiet keys is current however old its last change is."""
    monkeypatch.setattr(hub, "QUEUED_CHANGES_MAX", 3)
    store = await open_store(":memory:")
    stream = store.watch(b"/quiet/", 1)
    revision = await store.put(b"/quiet/k", b"", expect=0)
    await anext(stream)
    async with asyncio.TaskGroup() as group:
        following = group.create_task(anext(stream))
        await asyncio.sleep(0)
        for number in range(20):
            await store.put(b"/busy/%d" % number, b"", expect=0)
        await store.compact(await store.revision())
        revision = await store.put(b"/quiet/k", b"", expect=revision)
    assert following.result()[0].revision == revision
    for _ in range(5):
        revision = await store.put(b"/quiet/k", b"", expect=revision)
    seen = []
    while not seen or seen[-1] < revision:
        seen += [change.revision for change in await anext(stream)]
    assert len(seen) == 5
    await stream.aclose()
    await store.close()


async def test_a_revision_is_never_split_between_batches(monkeypatch) -> None:
    monkeypatch.setattr(hub, "REPLAY_CHANGES", 3)
    store = await open_store(":memory:")
    lessor = store.keyspace.lessor
    lease = await lessor.grant(1, 100)
    for number in range(8):
        await store.keyspace.put(b"/%d" % number, b"", 1)
    await lessor.revoke(lease)
    sizes = {}
    stream = store.watch(b"/", 1)
    while sum(sizes.values()) < 16:
        batch = await anext(stream)
        sizes[batch[-1].revision] = sizes.get(batch[-1].revision, 0) + len(batch)
    last = max(sizes)
    assert sizes[last] == 8
    await stream.aclose()
    await store.close()


def test_spans() -> None:
    assert of_prefix(b"a").prefix() == b"a"
    assert of_prefix(b"a\xff").end == b"b"
    assert of_prefix(b"\xff").end is None
    assert of_prefix(b"") == Span.ALL
    assert of_request(b"a", b"\0").end is None
    assert of_request(b"a", b"").single
    assert b"a" in of_request(b"a", b"")
    assert b"a\0" not in of_request(b"a", b"")
    assert of_request(b"a", b"b").prefix() == b"a"
    assert of_request(b"a", b"c").prefix() is None
