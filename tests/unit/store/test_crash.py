"""A writer killed in mid-load: every write that was acknowledged is there."""

import signal
import subprocess
import sys
from pathlib import Path

from pilothouse.services.store.embedded import open_store

WRITER = """
import asyncio, sys
from pilothouse.services.store.embedded import open_store

async def write(store, number):
    key, revision = b"/%d" % number, 0
    for count in range(1_000_000):
        revision = await store.put(key, b"%d" % count + b" " * 300, expect=revision)
        print(number, count, revision)
        if count % 50 == 49:
            await store.compact(revision - 20)

async def main():
    store = await open_store(sys.argv[1], compact_every_seconds=0)
    async with asyncio.TaskGroup() as group:
        for number in range(8):
            group.create_task(write(store, number))

sys.stdout.reconfigure(line_buffering=True)
asyncio.run(main())
"""


async def test_what_was_acknowledged_outlives_sigkill(tmp_path: Path) -> None:
    path = str(tmp_path / "db")
    acknowledged: dict[int, tuple[int, int]] = {}
    for wanted in (300, 900, 1700):
        _write_until_killed(path, acknowledged, wanted)
        store = await open_store(path, compact_every_seconds=0)
        entries, revision = await store.load(b"/")
        found = {int(entry.key[1:]): entry for entry in entries}
        for number, (count, at) in acknowledged.items():
            entry = found[number]
            # One more write of each key may have become durable without having been told.
            assert int(entry.value) - count in {0, 1}
            assert entry.mod_revision >= at
            assert (int(entry.value) == count) is (entry.mod_revision == at)
        assert revision == max(entry.mod_revision for entry in entries)
        for entry in entries:
            await store.delete(entry.key, expect=entry.mod_revision)
        await store.close()
        acknowledged.clear()


def _write_until_killed(path: str, acknowledged: dict[int, tuple[int, int]], wanted: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        for line in writer.stdout:
            if not line.endswith("\n"):
                break  # Killed in mid-sentence: half a number tells nothing.
            number, count, revision = map(int, line.split())
            acknowledged[number] = (count, revision)
            wanted -= 1
            if wanted == 0:
                writer.send_signal(signal.SIGKILL)
        # What it said before it died was read to the end: the pipe outlives it.
    assert writer.returncode == -signal.SIGKILL
