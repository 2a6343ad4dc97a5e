"""A registry on a store in memory."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from kit.registry import SCHEMAS, AllowAll, Client, FakeTokens

from pilothouse.services.apiserver.allocation.allocator import Allocator
from pilothouse.services.apiserver.bootstrap import bootstrap
from pilothouse.services.apiserver.cache.cache import Cache
from pilothouse.services.apiserver.kinds.catalog import builtin_catalog
from pilothouse.services.apiserver.objects.parts import Parts
from pilothouse.services.apiserver.registry import Registry
from pilothouse.services.runtime.clock import SystemClock
from pilothouse.services.store.embedded import open_store


@pytest.fixture
async def registry() -> AsyncIterator[Registry]:
    clock = SystemClock()
    store = await open_store(":memory:")
    catalog = builtin_catalog()
    cache = Cache(store, catalog, clock)
    made = Registry(
        Parts(
            storage=store,
            cache=cache,
            catalog=catalog,
            schemas=SCHEMAS,
            authorizer=AllowAll(),
            tokens=FakeTokens(),
            clock=clock,
            allocator=Allocator(),
        )
    )
    await cache.load()
    async with asyncio.TaskGroup() as group:
        following = group.create_task(cache.run())
        establishing = group.create_task(made.establishing.run())
        await bootstrap(made, ["10.90.0.1"], 6443, ())
        yield made
        following.cancel()
        establishing.cancel()
    await store.close()


@pytest.fixture
async def client(registry: Registry) -> Client:
    found = Client(registry)
    await found.create("serviceaccounts", {"metadata": {"name": "default"}})
    return found
