"""Delete many objects at the same time, so that they share the store's commits."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from pilothouse.services.apiserver.requests import Stored
from pilothouse.services.machinery.errors import ApiError, NotFound

TOGETHER_MAX = 64

Delete = Callable[[Stored], Awaitable[Stored]]


async def delete_all(items: Sequence[Stored], delete: Delete) -> list[Stored]:
    """What was deleted or marked; what went by itself meanwhile is left out.

    The first refusal is raised; what else was under way with it may or may not be deleted.
    """
    gone: list[Stored] = []
    for start in range(0, len(items), TOGETHER_MAX):
        gone += await _together(items[start : start + TOGETHER_MAX], delete)
    return gone


async def _together(items: Sequence[Stored], delete: Delete) -> list[Stored]:
    async def one(item: Stored) -> Stored | None:
        try:
            return await delete(item)
        except NotFound:
            return None

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(item)) for item in items]
    except BaseExceptionGroup as failures:
        refused = next((one for one in failures.exceptions if isinstance(one, ApiError)), None)
        if refused is None:
            raise
        raise refused from None
    return [deleted for task in tasks if (deleted := task.result()) is not None]
