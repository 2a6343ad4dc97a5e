"""Several acts at once, whose first refusal is the caller's."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

from pilothouse.services.machinery.errors import ApiError


async def all_of(acts: Iterable[Coroutine[Any, Any, Any]]) -> list[Any]:
    """Their results in order; the first ApiError is raised as it is, the others end."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(act) for act in acts]
    except* ApiError as failures:
        raise _first(failures) from None
    return [task.result() for task in tasks]


def _first(failures: BaseExceptionGroup[Any]) -> BaseException:
    found: BaseException = failures
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found
