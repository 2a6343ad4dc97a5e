"""
TTL: every node says for how long its kubelet may trust what it has read: longer in large clusters.

Reads   Node (how many there are)
Writes  Node annotation ``node.alpha.kubernetes.io/ttl``
Again   never: whatever matters is a change
"""

from typing import Protocol

from pilothouse.services.machinery.kinds.nodes import Node
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import DONE, Result

ANNOTATION = "node.alpha.kubernetes.io/ttl"
# From so many nodes (once there were more than the second number) on, so many seconds.
STEPS = ((0, 100, 0), (90, 500, 15), (450, 1000, 30), (900, 2000, 60), (1800, 10_000, 300))


def step(size: int, before: int) -> int:
    """The step of a cluster of ``size`` nodes that was at step ``before``: it changes late."""
    at = before
    while at + 1 < len(STEPS) and size > STEPS[at][1]:
        at += 1
    while at > 0 and size < STEPS[at][0]:
        at -= 1
    return at


def plan(node: Node, at: int) -> str | None:
    """What the annotation is to say; None where it says so."""
    wanted = str(STEPS[at][2])
    return None if node.metadata.annotations.get(ANNOTATION) == wanted else wanted


class Cluster(Protocol):
    """What this controller asks of the API."""

    def node(self, key: Key) -> Node | None: ...
    def step(self) -> int: ...
    async def annotate(self, node: Node, value: str) -> None: ...


class TTLController:
    """Keeps each node's annotation."""

    name = "ttl"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def reconcile(self, key: Key) -> Result:
        node = self._cluster.node(key)
        if node is None or node.metadata.deleting:
            return DONE
        value = plan(node, self._cluster.step())
        if value is not None:
            await self._cluster.annotate(node, value)
        return DONE
