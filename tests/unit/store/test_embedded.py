"""The embedded store as its users see it, beyond the shared contract."""

import asyncio
from pathlib import Path

import pytest

from pilothouse.services.machinery.storage import Changed, Unavailable
from pilothouse.services.store.embedded import open_store


async def test_a_restart_brings_back_keys_revisions_and_history(tmp_path: Path) -> None:
    path = str(tmp_path / "state" / "db")
    store = await open_store(path)
    created = await store.put(b"/a/1", b"x", expect=0)
    updated = await store.put(b"/a/1", b"y", expect=created)
    await store.put(b"/a/2", b"z", expect=0)
    await store.delete(b"/a/2", expect=updated + 1)
    await store.close()

    store = await open_store(path)
    entries, revision = await store.load(b"/a/")
    assert [(entry.key, entry.value, entry.version) for entry in entries] == [(b"/a/1", b"y", 2)]
    assert revision == updated + 2
    batches = store.watch(b"/a/", created)
    seen = [change async for change in _first(batches, 3)]
    assert [(change.key, change.entry is None) for change in seen] == [
        (b"/a/1", False),
        (b"/a/2", False),
        (b"/a/2", True),
    ]
    assert seen[0].previous is not None
    assert seen[0].previous.value == b"x"
    await store.close()


async def test_many_writers_of_one_key_each_win_once() -> None:
    store = await open_store(":memory:")
    await store.put(b"/n", b"0", expect=0)

    async def increment() -> None:
        while True:
            (entry,), _ = await store.load(b"/n")
            try:
                await store.put(b"/n", b"%d" % (int(entry.value) + 1), expect=entry.mod_revision)
            except Changed:
                continue
            return

    async with asyncio.TaskGroup() as group:
        for _ in range(40):
            group.create_task(increment())
    (entry,), _ = await store.load(b"/n")
    assert entry.value == b"40"
    await store.close()


async def test_a_refusal_shows_what_is_there() -> None:
    store = await open_store(":memory:")
    await store.put(b"/k", b"v", expect=0)
    with pytest.raises(Changed) as refused:
        await store.put(b"/k", b"w", expect=0)
    assert refused.value.current is not None
    assert refused.value.current.value == b"v"
    with pytest.raises(Changed) as refused:
        await store.delete(b"/absent", expect=3)
    assert refused.value.current is None
    await store.close()


async def test_a_database_has_one_owner_and_only_he_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "db"
    store = await open_store(str(path))
    await store.put(b"/secret", b"x", expect=0)
    with pytest.raises(Unavailable):
        await open_store(str(path))
    assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o600}
    await store.close()
    await (await open_store(str(path))).close()


async def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "db").write_bytes(b"not a database" * 1000)
    with pytest.raises(Unavailable):
        await open_store(str(tmp_path / "db"))


async def _first(batches, count: int):
    async for batch in batches:
        for change in batch:
            yield change
            count -= 1
        if count <= 0:
            return
