"""A registry on a store in memory, and short words to speak with it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from pilothouse.services.apiserver.allocation.allocator import Allocator
from pilothouse.services.apiserver.bootstrap import bootstrap
from pilothouse.services.apiserver.cache.cache import Cache
from pilothouse.services.apiserver.kinds.catalog import builtin_catalog
from pilothouse.services.apiserver.kinds.schemas import published_schemas
from pilothouse.services.apiserver.objects.parts import Parts
from pilothouse.services.apiserver.registry import Registry
from pilothouse.services.apiserver.requests import (
    DeleteOptions,
    Patch,
    ReadOptions,
    Stored,
    Target,
    User,
    WriteOptions,
)
from pilothouse.services.runtime.clock import SystemClock
from pilothouse.services.store.embedded import open_store

ADMIN = User("admin", ("system:masters",))
SCHEMAS = published_schemas()


class AllowAll:
    """An authorizer that lets everybody do everything."""

    async def allow(self, user: User, verb: str, target: Target) -> None:
        del user, verb, target


class FakeTokens:
    """Signs with the account's name."""

    async def issue(self, account: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
        return {**request, "status": {"token": account["metadata"]["name"]}}


class Client:
    """The registry as kubectl thinks of it: dicts in, dicts out."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.user = ADMIN
        self.warnings: tuple[str, ...] = ()

    def target(self, plural, name="", namespace="default", subresource=""):
        group, _, plural = plural.rpartition("/")
        version = next(v for g, vs in self.registry.parts.catalog.groups().items()
                       if g == group for v in vs)  # fmt: skip
        kind = self.registry.parts.catalog.lookup(group, version, plural)
        return Target(group, version, plural, namespace if kind.namespaced else "", name,
                      subresource)  # fmt: skip

    async def create(self, plural, body, *, name="", sub="", options=WriteOptions(), **where):
        target = self.target(plural, name, subresource=sub, **where)
        written = await self.registry.create(self.user, target, body, options)
        self.warnings = written.warnings
        return read(written.object)

    async def get(self, plural, name, *, sub="", **where):
        target = self.target(plural, name, subresource=sub, **where)
        return read(await self.registry.get(self.user, target))

    async def list(self, plural, *, namespace="default", **options):
        target = self.target(plural, namespace=namespace)
        return await self.registry.list(self.user, target, ReadOptions(**options))

    async def names(self, plural, **options):
        return [item.key.name for item in (await self.list(plural, **options)).items]

    async def update(self, plural, name, body, *, sub="", options=WriteOptions(), **where):
        target = self.target(plural, name, subresource=sub, **where)
        return read((await self.registry.update(self.user, target, body, options)).object)

    async def patch(self, plural, name, content, type="merge", *, sub="", **where):
        target = self.target(plural, name, subresource=sub, **where)
        patch = Patch(type, content)
        written = await self.registry.patch(self.user, target, patch, WriteOptions())
        self.warnings = written.warnings
        return read(written.object)

    async def delete(self, plural, name, *, namespace="default", **options):
        target = self.target(plural, name, namespace)
        return await self.registry.delete(self.user, target, DeleteOptions(**options))

    def watch(self, plural, *, namespace="default", **options):
        target = self.target(plural, namespace=namespace)
        return self.registry.watch(self.user, target, ReadOptions(**options))


def read(stored: Stored) -> dict[str, Any]:
    return msgspec.json.decode(stored.json)


def pod(name: str = "web", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"containers": [{"name": "c", "image": "nginx:1"}], **spec},
    }


def deployment(name: str = "web", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "c", "image": "nginx"}]},
            },
            **spec,
        },
    }


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
        await bootstrap(made, "10.90.0.1", 6443, ())
        yield made
        following.cancel()
    await store.close()


@pytest.fixture
async def client(registry: Registry) -> Client:
    found = Client(registry)
    await found.create("serviceaccounts", {"metadata": {"name": "default"}})
    return found
