"""This node's own Node object: followed, and written by patches."""

from collections.abc import Callable
from typing import Any

import msgspec

from pilothouse.services.machinery.kinds.nodes import Node
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import NODES, Resource
from pilothouse.services.runtime.client.cache import Cache
from pilothouse.services.runtime.client.objects import Objects


class MeshNode:
    """One node's object over ``mesh.v1.Objects``; ``configure`` takes the CIDR of its pods."""

    def __init__(
        self, objects: Objects, nodes: Cache[Node], name: str, configure: Callable[[str], object]
    ) -> None:
        self._objects = objects
        self._nodes = nodes
        self._key = Key("", name)
        self._configure = configure

    def current(self) -> Node | None:
        """The newest that was heard."""
        return self._nodes.get(self._key)

    async def fetch(self) -> Node:
        """As the API server has it now."""
        return msgspec.json.decode(await self._objects.get(NODES, self._key), type=Node)

    def configure_network(self, pod_cidr: str) -> None:
        """Let the runtime give pods addresses of this range."""
        self._configure(pod_cidr)

    async def create(self, resource: Resource, namespace: str, body: dict[str, Any]) -> str:
        return await self._objects.create(resource, namespace, body)

    async def patch(self, resource: Resource, key: Key, patch: dict[str, Any]) -> str:
        return await self._objects.patch(resource, key, patch)

    async def patch_status(self, resource: Resource, key: Key, patch: dict[str, Any]) -> str:
        return await self._objects.patch(resource, key, patch, subresource="status", strategic=True)
