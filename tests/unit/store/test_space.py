"""The database's file does not grow with time."""

from pathlib import Path

from pilothouse.services.store.compaction import Periodic, Row, plan
from pilothouse.services.store.embedded import open_store


async def test_churn_with_compaction_keeps_the_file_small(tmp_path: Path) -> None:
    path = tmp_path / "db"
    store = await open_store(str(path), compact_every_seconds=0)
    revision = 0
    sizes = []
    for _ in range(6):
        before = revision
        for number in range(150):
            revision = await store.put(b"/lease", b"x" * 2000, expect=revision)
            gone = await store.put(b"/event/%d" % number, b"x" * 2000, expect=0)
            revision_of_event = gone
            await store.delete(b"/event/%d" % number, expect=revision_of_event)
        assert revision > before
        await store.compact(await store.revision())
        sizes.append(sum(file.stat().st_size for file in tmp_path.iterdir()))
    assert max(sizes) < 200_000
    assert (await store.keyspace.size()).allocated_bytes < 100_000
    await store.close()


async def test_an_interrupted_sweep_goes_on_with_the_next(tmp_path: Path) -> None:
    path = str(tmp_path / "db")
    store = await open_store(path, compact_every_seconds=0)
    revision = 0
    for _ in range(1200):
        revision = await store.put(b"/k", b"x" * 500, expect=revision)
    journal = store.keyspace._journal
    assert await journal.compact(revision)
    assert await journal.compact(revision)
    await store.close()

    store = await open_store(path, compact_every_seconds=0)
    assert store.keyspace.revisions.compacted == revision
    revision = await store.put(b"/k", b"y", expect=revision)
    await store.compact(revision)
    assert (await store.keyspace.size()).allocated_bytes < 60_000
    (entry,), _ = await store.load(b"/")
    assert (entry.value, entry.version) == (b"y", 1201)
    await store.close()


def test_what_a_sweep_removes() -> None:
    rows = [
        Row(10, is_deletion=False, previous=None),
        Row(20, is_deletion=False, previous=10),
        Row(30, is_deletion=True, previous=20),
        Row(40, is_deletion=True, previous=35),
    ]
    assert plan(rows, keep_from=40) == (30, [10, 20, 30, 35])
    assert plan([], keep_from=40) == (0, [])


def test_periodic_compaction_keeps_one_interval() -> None:
    schedule, target = Periodic().tick(100)
    assert target == 0
    schedule, target = schedule.tick(250)
    assert target == 100
    _, target = schedule.tick(250)
    assert target == 250
