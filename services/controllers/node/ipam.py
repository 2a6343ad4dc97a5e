"""
Node IPAM: every node gets a part of the cluster's pod addresses, its own for as long as it lives.

Reads   Node
Writes  Node ``spec.podCIDR`` and ``podCIDRs``
Again   when none is left: a node may have gone meanwhile

Where the cluster has addresses of both families, a node gets a part of each.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pilothouse.services.controllers.node.pools import Network, Pool
from pilothouse.services.machinery.kinds.nodes import Node
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import DONE, Result

FULL_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Plan:
    """``parts`` are to be given, one of each range; none with ``full`` when one has none left."""

    parts: tuple[Network, ...] = ()
    full: bool = False


def plan(node: Node, pools: Sequence[Pool]) -> Plan:
    """The next free parts for a node that has none."""
    if node.spec.pod_cidr or node.spec.pod_cidrs or node.metadata.deleting:
        return Plan()
    free = [pool.next_free() for pool in pools]
    parts = tuple(part for part in free if part is not None)
    return Plan(parts) if len(parts) == len(pools) else Plan(full=True)


class Cluster(Protocol):
    """What this controller asks of the API."""

    def node(self, key: Key) -> Node | None: ...
    def pools(self) -> Sequence[Pool]:
        """What is taken, our own last writes included."""

    def is_given(self, node: Node) -> bool:
        """Whether it was given its parts a moment ago, and does not say so yet."""

    async def give(self, node: Node, parts: Sequence[Network]) -> None: ...
    def say_full(self, node: Node) -> None:
        """Tell people that this node gets none."""


class NodeIPAMController:
    """Gives each node its pod addresses."""

    name = "nodeipam"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def reconcile(self, key: Key) -> Result:
        node = self._cluster.node(key)
        if node is None or self._cluster.is_given(node):
            return DONE
        todo = plan(node, self._cluster.pools())
        if todo.parts:
            await self._cluster.give(node, todo.parts)
        if todo.full:
            self._cluster.say_full(node)
            return Result(again_after=FULL_SECONDS)
        return DONE
