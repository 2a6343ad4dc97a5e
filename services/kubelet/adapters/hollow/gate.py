"""Calls of all simulated nodes on one API server, a bounded number of them at a time."""

import asyncio
from typing import Any

from grpc import aio
from typing_extensions import override

from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import Resource
from pilothouse.services.runtime.client.objects import Objects

WRITES_AT_ONCE = 64


class GatedObjects(Objects):
    """Writes wait here for their turn, so that none of thousands waits past its deadline."""

    def __init__(self, channel: aio.Channel) -> None:
        super().__init__(channel)
        self._room = asyncio.Semaphore(WRITES_AT_ONCE)

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
        async with self._room:
            return await super().patch(
                resource, key, patch, subresource=subresource, strategic=strategic
            )

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
