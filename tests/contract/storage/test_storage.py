"""What the API server relies on, whichever store is below."""

import asyncio
import contextlib
import itertools
from collections.abc import Sequence

import pytest

from pilothouse.services.apiserver.ports import Storage
from pilothouse.services.machinery.storage import Change, Changed, Compacted, Unavailable


async def collect(storage: Storage, prefix: bytes, after: int, count: int) -> list[Change]:
    """The first changes after a revision."""
    return [change for batch in await batches(storage, prefix, after, count) for change in batch]


async def batches(
    storage: Storage, prefix: bytes, after: int, count: int
) -> list[Sequence[Change]]:
    seen: list[Sequence[Change]] = []
    async with asyncio.timeout(10), contextlib.aclosing(storage.watch(prefix, after)) as stream:
        async for batch in stream:
            assert batch
            seen.append(batch)
            if sum(map(len, seen)) >= count:
                break
    return seen


async def test_a_key_is_created_once(storage: Storage, prefix: bytes) -> None:
    key = prefix + b"a"
    created = await storage.put(key, b"1", expect=0)
    with pytest.raises(Changed) as refused:
        await storage.put(key, b"2", expect=0)
    current = refused.value.current
    assert current is not None
    assert (current.key, current.value, current.mod_revision) == (key, b"1", created)


async def test_a_key_is_updated_only_at_the_revision_it_is_at(
    storage: Storage, prefix: bytes
) -> None:
    key = prefix + b"a"
    created = await storage.put(key, b"1", expect=0)
    updated = await storage.put(key, b"2", expect=created)
    assert updated > created
    with pytest.raises(Changed):
        await storage.put(key, b"3", expect=created)
    with pytest.raises(Changed) as refused:
        await storage.put(prefix + b"absent", b"3", expect=created)
    assert refused.value.current is None
    (entry,), revision = await storage.load(prefix)
    assert (entry.value, entry.version) == (b"2", 2)
    assert (entry.create_revision, entry.mod_revision) == (created, updated)
    assert revision >= updated


async def test_a_key_is_deleted_only_at_the_revision_it_is_at(
    storage: Storage, prefix: bytes
) -> None:
    key = prefix + b"a"
    created = await storage.put(key, b"1", expect=0)
    with pytest.raises(Changed):
        await storage.delete(key, expect=created + 1000)
    deleted = await storage.delete(key, expect=created)
    assert deleted > created
    with pytest.raises(Changed) as refused:
        await storage.delete(key, expect=created)
    assert refused.value.current is None
    with pytest.raises(Changed):
        await storage.delete(key, expect=0)
    assert (await storage.load(prefix))[0] == []
    again = await storage.put(key, b"2", expect=0)
    (entry,), _ = await storage.load(prefix)
    assert (entry.version, entry.create_revision) == (1, again)


async def test_load_gives_a_prefix_by_key(storage: Storage, prefix: bytes) -> None:
    for name in (b"b/2", b"a/1", b"b/1", b"b", b"b0", b"b/\xff"):
        await storage.put(prefix + name, name, expect=0)
    entries, _ = await storage.load(prefix + b"b/")
    assert [entry.value for entry in entries] == [b"b/1", b"b/2", b"b/\xff"]
    assert all(entry.key == prefix + entry.value for entry in entries)
    everything, _ = await storage.load(b"")
    assert {entry.key for entry in entries} < {entry.key for entry in everything}


async def test_load_gives_more_than_a_page_at_one_revision(storage: Storage, prefix: bytes) -> None:
    async def fill(part: int) -> None:
        for number in range(part, 2100, 20):
            await storage.put(prefix + b"%05d" % number, b"x", expect=0)

    async with asyncio.TaskGroup() as group:
        for part in range(20):
            group.create_task(fill(part))
    entries, revision = await storage.load(prefix)
    assert [entry.key for entry in entries] == [prefix + b"%05d" % n for n in range(2100)]
    assert revision >= max(entry.mod_revision for entry in entries)


async def test_values_are_bytes_of_any_kind(storage: Storage, prefix: bytes) -> None:
    values = [b"", b"\0\xff" * 1000, b"x" * 1_000_000]
    for number, value in enumerate(values):
        await storage.put(prefix + b"%d" % number, value, expect=0)
    entries, _ = await storage.load(prefix)
    assert [entry.value for entry in entries] == values


async def test_a_watch_sees_every_change_in_order_with_what_was_there(
    storage: Storage, prefix: bytes
) -> None:
    after = await storage.revision()
    one = await storage.put(prefix + b"a", b"1", expect=0)
    two = await storage.put(prefix + b"a", b"2", expect=one)
    three = await storage.delete(prefix + b"a", expect=two)
    seen = await collect(storage, prefix, after, 3)
    assert [change.revision for change in seen] == [one, two, three]
    assert [change.key for change in seen] == [prefix + b"a"] * 3
    values = [change.entry and change.entry.value for change in seen]
    assert values == [b"1", b"2", None]
    before = [change.previous and change.previous.value for change in seen]
    assert before == [None, b"1", b"2"]
    assert seen[1].entry is not None
    assert (seen[1].entry.create_revision, seen[1].entry.version) == (one, 2)


async def test_a_watch_starts_after_its_revision_and_follows(
    storage: Storage, prefix: bytes
) -> None:
    one = await storage.put(prefix + b"a", b"1", expect=0)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(collect(storage, prefix, one, 2))
        await asyncio.sleep(0.2)
        await storage.put(prefix + b"b", b"1", expect=0)
        await storage.put(prefix[:-1] + b"!", b"not here", expect=0)
        await storage.put(prefix + b"c", b"1", expect=0)
    assert [change.key for change in task.result()] == [prefix + b"b", prefix + b"c"]


async def test_watches_under_load_miss_nothing_and_repeat_nothing(
    storage: Storage, prefix: bytes
) -> None:
    after = await storage.revision()

    async def write(writer: int) -> None:
        revision = 0
        for number in range(40):
            key = prefix + b"%d" % writer
            if number % 10 == 9:
                await storage.delete(key, expect=revision)
                revision = 0
            else:
                revision = await storage.put(key, b"%d" % number, expect=revision)

    async with asyncio.TaskGroup() as group:
        early = group.create_task(batches(storage, prefix, after, 400))
        for writer in range(10):
            group.create_task(write(writer))
        await asyncio.sleep(0.05)
        late = group.create_task(batches(storage, prefix, after, 400))
    for seen in (early.result(), late.result()):
        changes = [change for batch in seen for change in batch]
        assert len(changes) == 400
        revisions = [change.revision for change in changes]
        assert revisions == sorted(set(revisions))
        for earlier, later in itertools.pairwise(seen):
            assert earlier[-1].revision < later[0].revision
    first, second = (
        [(change.key, change.revision) for batch in seen for change in batch]
        for seen in (early.result(), late.result())
    )
    assert first == second


async def test_compaction_forgets_history_and_no_key(storage: Storage, prefix: bytes) -> None:
    one = await storage.put(prefix + b"a", b"1", expect=0)
    two = await storage.put(prefix + b"a", b"2", expect=one)
    await storage.put(prefix + b"b", b"1", expect=0)
    await storage.compact(two)
    await storage.compact(one)
    with pytest.raises(Compacted):
        await collect(storage, prefix, one - 1, 1)
    entries, _ = await storage.load(prefix)
    assert [entry.value for entry in entries] == [b"2", b"1"]
    seen = await collect(storage, prefix, two, 1)
    assert seen[0].key == prefix + b"b"
    three = await storage.put(prefix + b"a", b"3", expect=two)
    assert (await collect(storage, prefix + b"a", two, 1))[0].revision == three


async def test_a_future_revision_can_not_be_compacted(storage: Storage) -> None:
    with pytest.raises(ValueError, match="future"):
        await storage.compact(await storage.revision() + 1000)


async def test_a_key_with_a_time_to_live_goes_by_itself(storage: Storage, prefix: bytes) -> None:
    after = await storage.revision()
    for name in (b"a", b"b"):
        await storage.put(prefix + name, b"1", expect=0, ttl_seconds=2)
    stays = await storage.put(prefix + b"c", b"1", expect=0, ttl_seconds=2)
    await storage.put(prefix + b"c", b"2", expect=stays)
    entries, _ = await storage.load(prefix)
    assert [bool(entry.lease) for entry in entries] == [True, True, False]
    seen = await collect(storage, prefix, after, 6)
    assert [change.key for change in seen if change.entry is None] == [prefix + b"a", prefix + b"b"]
    assert seen[-1].previous is not None
    assert [entry.key for entry in (await storage.load(prefix))[0]] == [prefix + b"c"]


async def test_revision_is_that_of_the_newest_write(storage: Storage, prefix: bytes) -> None:
    written = await storage.put(prefix + b"a", b"1", expect=0)
    assert await storage.revision() >= written


async def test_a_closed_store_is_unavailable(storage: Storage, prefix: bytes) -> None:
    stream = storage.watch(prefix, await storage.revision())
    async with asyncio.TaskGroup() as group:
        task = group.create_task(_outcome(stream))
        await asyncio.sleep(0.1)
        await storage.close()
    assert isinstance(task.result(), Unavailable)
    with pytest.raises(Unavailable):
        await storage.put(prefix + b"a", b"1", expect=0)
    with pytest.raises(Unavailable):
        await storage.revision()


async def _outcome(stream) -> BaseException | None:
    try:
        await anext(stream)
    except Unavailable as error:
        return error
    return None
