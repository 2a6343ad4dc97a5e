"""What was freed is given back once for all who asked."""

import asyncio

from pilothouse.services.runtime import heap


async def test_given_back_once_for_all_who_asked(monkeypatch):
    monkeypatch.setattr(heap, "SECONDS_LATER", 0)
    given = asyncio.Queue()
    used = heap.Heap()
    used._trim = given.put_nowait
    used.give_back_later()
    used.give_back_later()
    assert await given.get() == 0
    await asyncio.sleep(0)
    assert given.empty()
    used.give_back_later()
    assert await given.get() == 0
