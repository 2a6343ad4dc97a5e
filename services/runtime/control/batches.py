"""Many calls of one kind at once: carefully at first, never more than a server likes."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from pilothouse.services.machinery.errors import ApiError

BATCH_FIRST = 1
ABREAST_MAX = 64

T = TypeVar("T")


async def slow_start(count: int, act: Callable[[], Awaitable[None]]) -> ApiError | None:
    """Call ``act`` ``count`` times in batches of 1, 2, 4, …; stops after a batch with a refusal.

    A quota that is full is so met with one refused call and not with five hundred. Returns the
    first refusal.
    """
    batch = BATCH_FIRST
    while count > 0:
        size = min(batch, count, ABREAST_MAX)
        failure = await each(range(size), lambda _: act())
        if failure is not None:
            return failure
        count -= size
        batch *= 2
    return None


async def each(items: Iterable[T], act: Callable[[T], Awaitable[None]]) -> ApiError | None:
    """Call ``act`` on all, ``ABREAST_MAX`` at a time; the first refusal, after all have ended."""
    failures: list[ApiError] = []
    room = asyncio.Semaphore(ABREAST_MAX)

    async def call(item: T) -> None:
        async with room:
            try:
                await act(item)
            except ApiError as error:
                failures.append(error)

    async with asyncio.TaskGroup() as group:
        for item in items:
            group.create_task(call(item))
    return failures[0] if failures else None
