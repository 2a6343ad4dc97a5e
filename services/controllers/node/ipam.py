"""
Node IPAM: every node gets a part of the cluster's pod addresses, its own for as long as it lives.

Reads   Node
Writes  Node ``spec.podCIDR`` and ``podCIDRs``
Again   when none is left: a node may have gone meanwhile
"""

from collections.abc import Collection
from dataclasses import dataclass
from itertools import count
from typing import Protocol

from pilothouse.services.machinery.kinds.nodes import Node
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import DONE, Result

FULL_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Range:
    """The cluster's addresses as ``size`` parts, numbered from 0."""

    size: int


@dataclass(frozen=True, slots=True)
class Plan:
    """``part`` is the one to give; None with ``full`` when there is none."""

    part: int | None
    full: bool = False


def plan(node: Node, taken: Collection[int], parts: Range) -> Plan:
    """The lowest free part for a node that has none; ``taken`` are those of all nodes."""
    if node.spec.pod_cidr or node.metadata.deleting:
        return Plan(None)
    lowest = next(number for number in count() if number not in taken)
    return Plan(lowest) if lowest < parts.size else Plan(None, full=True)


class Cluster(Protocol):
    """What this controller asks of the API."""

    def node(self, key: Key) -> Node | None: ...
    def taken(self) -> Collection[int]:
        """Parts that are given, our own last writes included."""

    def parts(self) -> Range: ...
    async def give(self, node: Node, part: int) -> None: ...
    def say_full(self, node: Node) -> None:
        """Tell people that this node gets none."""


class NodeIPAMController:
    """Gives each node its pod addresses."""

    name = "nodeipam"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def reconcile(self, key: Key) -> Result:
        node = self._cluster.node(key)
        if node is None:
            return DONE
        todo = plan(node, self._cluster.taken(), self._cluster.parts())
        if todo.part is not None:
            await self._cluster.give(node, todo.part)
        if todo.full:
            self._cluster.say_full(node)
            return Result(again_after=FULL_SECONDS)
        return DONE
