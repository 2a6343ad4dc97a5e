"""A disk that fails: nothing that was not written is ever told, and nothing more is taken."""

import asyncio
import errno
import itertools
from collections.abc import Mapping, Sequence

import pytest

from pilothouse.services.machinery.storage import Change, Changed, Unavailable
from pilothouse.services.runtime.clock import SystemClock
from pilothouse.services.store.adapters.sqlite import SqliteJournal
from pilothouse.services.store.embedded import EmbeddedStore, open_store
from pilothouse.services.store.keyspace import Keyspace
from pilothouse.services.store.ports import StoredLease


class FailingJournal(SqliteJournal):
    """A journal that holds commits back, and fails when told to."""

    failure: Exception | None = None
    gate: asyncio.Event | None = None

    async def append(
        self, changes: Sequence[Change], leases: Mapping[int, StoredLease | None]
    ) -> None:
        if self.gate is not None:
            await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        await super().append(changes, leases)


@pytest.fixture
async def journal():
    return await FailingJournal.open(":memory:")


@pytest.fixture
async def store(journal):
    clock = SystemClock()
    store = EmbeddedStore(await Keyspace.open(journal, clock), clock)
    yield store
    await store.close()


@pytest.mark.parametrize(
    "failure", [OSError(errno.EIO, "fsync"), OSError(errno.ENOSPC, "no space left on device")]
)
async def test_a_failed_commit_acknowledges_nothing_and_ends_writing(
    store, journal, failure
) -> None:
    kept = await store.put(b"/a", b"1", expect=0)
    journal.failure = failure
    refused = []

    async def put(number: int) -> None:
        try:
            await store.put(b"/b/%d" % number, b"1", expect=0, ttl_seconds=number % 2 * 10)
        except Unavailable as error:
            refused.append(error)

    async with asyncio.TaskGroup() as group:
        for number in range(8):
            group.create_task(put(number))
    assert len(refused) == 8
    journal.failure = None
    with pytest.raises(Unavailable):
        await store.put(b"/c", b"1", expect=0)
    with pytest.raises(Unavailable):
        await store.delete(b"/a", expect=kept)
    with pytest.raises(Unavailable):
        await store.compact(kept)
    with pytest.raises(Unavailable):
        await store.revision()
    entries, revision = await store.load(b"")
    assert [entry.key for entry in entries] == [b"/a"]
    assert revision == kept


async def test_nobody_sees_what_is_not_durable(store, journal) -> None:
    first = await store.put(b"/a", b"1", expect=0)
    journal.gate = asyncio.Event()
    seen: list[Change] = []

    async def watch() -> None:
        async for batch in store.watch(b"/", first):
            seen.extend(batch)
            return

    async def refusal() -> Changed:
        with pytest.raises(Changed) as refused:
            await store.put(b"/a", b"3", expect=first)
        return refused.value

    async with asyncio.TaskGroup() as group:
        group.create_task(watch())
        put = group.create_task(store.put(b"/a", b"2", expect=first))
        await asyncio.sleep(0.05)
        refused = group.create_task(refusal())
        asked = group.create_task(store.revision())
        await asyncio.sleep(0.05)
        (entry,), revision = await store.load(b"/")
        assert (entry.value, revision) == (b"1", first)
        assert not seen
        assert not put.done()
        assert not refused.done()
        assert not asked.done()
        journal.gate.set()
    assert refused.result().current.value == b"2"
    assert asked.result() == put.result() == seen[0].revision


async def test_a_refusal_by_what_is_never_written_is_unavailable(store, journal) -> None:
    first = await store.put(b"/a", b"1", expect=0)
    journal.gate = asyncio.Event()
    outcomes = []

    async def put(value: bytes) -> None:
        try:
            await store.put(b"/a", value, expect=first)
        except (Unavailable, Changed) as error:
            outcomes.append(type(error))

    async with asyncio.TaskGroup() as group:
        for value in (b"2", b"3"):
            group.create_task(put(value))
        await asyncio.sleep(0.05)
        journal.failure = OSError(errno.ENOSPC, "no space left on device")
        journal.gate.set()
    assert outcomes == [Unavailable, Unavailable]


async def test_closing_writes_what_was_taken(journal, store) -> None:
    journal.gate = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        put = group.create_task(store.put(b"/a", b"1", expect=0))
        await asyncio.sleep(0.02)
        group.create_task(store.close())
        await asyncio.sleep(0.02)
        with pytest.raises(Unavailable):
            await store.put(b"/b", b"1", expect=0)
        journal.gate.set()
    assert put.result() == 2


async def test_a_full_disk_loses_nothing_that_was_acknowledged(tmp_path) -> None:
    path = str(tmp_path / "db")
    store = await open_store(path)
    journal = store.keyspace._journal
    await journal._writer.run(lambda connection: connection.execute("PRAGMA max_page_count = 40"))
    acknowledged: list[bytes] = []

    async def fill() -> None:
        for number in itertools.count():
            key = b"/%05d" % number
            await store.put(key, b"x" * 1000, expect=0)
            acknowledged.append(key)

    with pytest.raises(Unavailable, match="full"):
        await fill()
    with pytest.raises(Unavailable):
        await store.put(b"/more", b"", expect=0)
    assert len((await store.load(b"/"))[0]) == len(acknowledged)
    await store.close()
    store = await open_store(path)
    entries, revision = await store.load(b"/")
    assert [entry.key for entry in entries] == acknowledged
    assert await store.put(b"/more", b"", expect=0) == revision + 1
    await store.close()
