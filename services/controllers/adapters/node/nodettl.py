"""How many nodes there are, and what each says because of that."""

from pilothouse.services.controllers.adapters.world import Controller, World, controller
from pilothouse.services.controllers.node import ttl
from pilothouse.services.controllers.node.ttl import TTLController
from pilothouse.services.machinery.kinds.nodes import Node
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import NODES
from pilothouse.services.runtime.control.queue import WorkQueue


class Sizes:
    """What the TTL controller asks for."""

    def __init__(self, world: World) -> None:
        self._objects = world.objects
        self._nodes = world.cache(NODES, Node)
        self._step = 0

    def node(self, key: Key) -> Node | None:
        return self._nodes.get(key)

    def step(self) -> int:
        return self._step

    def count(self) -> bool:
        """Whether the cluster has come to another step."""
        before, self._step = self._step, ttl.step(len(self._nodes), self._step)
        return before != self._step

    async def annotate(self, node: Node, value: str) -> None:
        metadata = node.metadata
        patch = {"metadata": {"uid": metadata.uid, "annotations": {ttl.ANNOTATION: value}}}
        await self._objects.patch(NODES, metadata.key, patch)


def annotations(world: World) -> Controller:
    """The TTL controller, wired: it looks at all nodes when their number says something else."""
    found = world.cache(NODES, Node)
    queue: WorkQueue[Key] = WorkQueue()
    cluster = Sizes(world)

    def changed(old: Node | None, new: Node | None) -> None:
        if (old is None) != (new is None) and cluster.count():
            for node in found.values():
                queue.add(node.metadata.key)
        if new is not None and ttl.plan(new, cluster.step()) is not None:
            queue.add(new.metadata.key)

    found.on_change(changed)
    return controller(TTLController(cluster), queue, found)
