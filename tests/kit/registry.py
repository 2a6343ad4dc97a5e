"""Short words to speak with a registry: bodies, and a client that takes and gives dicts."""

from typing import Any

import msgspec

from pilothouse.services.apiserver.kinds.schemas import published_schemas
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

DEFAULT = WriteOptions()
ADMIN = User("admin", ("system:masters",))
SCHEMAS = published_schemas()


class AllowAll:
    """An authorizer that lets everybody do everything."""

    async def allow(self, user: User, verb: str, target: Target) -> None:
        del user, verb, target

    def held(self, user: User, namespace: str) -> tuple[()]:
        del user, namespace
        return ()


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

    async def create(self, plural, body, *, name="", sub="", options=DEFAULT, **where):
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

    async def update(self, plural, name, body, *, sub="", options=DEFAULT, **where):
        target = self.target(plural, name, subresource=sub, **where)
        return read((await self.registry.update(self.user, target, body, options)).object)

    async def patch(self, plural, name, content, kind="merge", *, sub="", **where):
        target = self.target(plural, name, subresource=sub, **where)
        patch = Patch(kind, content)
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
