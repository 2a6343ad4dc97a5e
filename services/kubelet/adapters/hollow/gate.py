"""Calls of all simulated nodes on one API server: few at a time, and many patches in one."""

import asyncio
from collections import deque
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any

from grpc import aio
from typing_extensions import override

from pilothouse.services.machinery.errors import ApiError, ServiceUnavailable
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import Resource
from pilothouse.services.runtime.client.gathered import GatheredObjects
from pilothouse.services.runtime.client.objects import Change

WRITES_AT_ONCE = 64
MESSAGES_AT_ONCE = 3
PATCHES_MAX = 64
"""In one message."""
GATHER_SECONDS = 0.03
"""How long the first patch of a message waits for others."""


@dataclass(slots=True, eq=False)
class _Patch:
    change: Change
    answer: asyncio.Future[str] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    is_taken: bool = False


class GatedObjects(GatheredObjects):
    """Writes wait here for their turn, so that none of thousands waits past its deadline.

    Patches (leases, statuses) go out together: whoever's turn comes first takes along those that
    wait behind it.
    """

    def __init__(self, channel: aio.Channel) -> None:
        super().__init__(channel)
        self._room = asyncio.Semaphore(WRITES_AT_ONCE)
        self._messages = asyncio.Semaphore(MESSAGES_AT_ONCE)
        self._patches: deque[_Patch] = deque()

    async def gather_beside(self, work: Awaitable[None]) -> None:
        """Creations and deletions go together while ``work`` goes on."""
        async with asyncio.TaskGroup() as group:
            gathering = group.create_task(self.run())
            await work
            gathering.cancel()

    @override
    async def create(
        self,
        resource: Resource,
        namespace: str,
        body: dict[str, Any],
        *,
        name: str = "",
        subresource: str = "",
    ) -> str:
        async with self._room:
            return await super().create(
                resource, namespace, body, name=name, subresource=subresource
            )

    @override
    async def patch(
        self,
        resource: Resource,
        key: Key,
        patch: dict[str, Any],
        *,
        subresource: str = "",
        strategic: bool = False,
    ) -> str:
        mine = _Patch(Change(resource, key, patch, subresource, strategic))
        self._patches.append(mine)
        try:
            async with self._messages:
                if not mine.is_taken:
                    await asyncio.sleep(GATHER_SECONDS)
                if not mine.is_taken:
                    await self._send_patches()
            return await mine.answer
        finally:
            if not mine.is_taken:
                self._patches.remove(mine)

    async def _send_patches(self) -> None:
        """The oldest that wait, as one message."""
        taken = [self._patches.popleft() for _ in range(min(PATCHES_MAX, len(self._patches)))]
        for item in taken:
            item.is_taken = True
        answers = list[str | ApiError]()
        failure: ApiError = ServiceUnavailable("the message was not sent to its end")
        try:
            answers += await self.patch_many([item.change for item in taken])
        except ApiError as error:
            failure = error
        finally:
            for index, item in enumerate(taken):
                _settle(item.answer, answers[index] if index < len(answers) else failure)

    @override
    async def delete(
        self,
        resource: Resource,
        key: Key,
        *,
        uid: str = "",
        grace_period_seconds: int | None = None,
        propagation_policy: str = "",
    ) -> None:
        async with self._room:
            await super().delete(
                resource,
                key,
                uid=uid,
                grace_period_seconds=grace_period_seconds,
                propagation_policy=propagation_policy,
            )


def _settle(answer: asyncio.Future[str], said: str | ApiError) -> None:
    if answer.done():
        return
    if isinstance(said, ApiError):
        answer.set_exception(said)
        answer.exception()  # whoever asked may have gone
    else:
        answer.set_result(said)
