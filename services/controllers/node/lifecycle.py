"""
Node lifecycle: say what a node that fell silent is, and keep others off it.

Reads   Node, Lease (a sign of life), Pod (those on the node)
Writes  Node conditions (Unknown after silence), taints and labels under their older names,
        Pod condition Ready on lost nodes
Again   when the node's silence would become too long, or its turn to lose its pods comes

Taints follow from conditions; what a taint does to pods is the taint eviction's promise.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import msgspec

from pilothouse.services.controllers.node import tainting
from pilothouse.services.machinery import conditions
from pilothouse.services.machinery.conditions import Condition
from pilothouse.services.machinery.kinds.nodes import Node, Taint
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import DONE, Result

WATCHED = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
OLDER_LABELS = {
    "kubernetes.io/os": "beta.kubernetes.io/os",
    "kubernetes.io/arch": "beta.kubernetes.io/arch",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What the node shall say of itself; ``lost`` when nobody has heard of it for too long.

    ``labels`` are those that say something else now.
    """

    conditions: tuple[Condition, ...]
    taints: tuple[Taint, ...]
    lost: bool
    again_after: float | None
    labels: Mapping[str, str]


def plan(
    node: Node, silent_seconds: float, grace_seconds: float, now: float, wait: float | None = 0.0
) -> Plan:
    """``silent_seconds``: since the last sign of life that we saw.

    ``wait`` is how long its pods stay before they are driven away, None until that changes.
    """
    lost = silent_seconds >= grace_seconds
    told = node.status.conditions
    if lost:
        for type_ in WATCHED:
            told = conditions.replaced(told, _unknown(node, told, type_), now)
    looks = [] if lost else [grace_seconds - silent_seconds]
    if wait:
        looks.append(wait)
    return Plan(
        conditions=told,
        taints=tainting.taints(node, told, now, evicts=wait == 0.0),
        lost=lost,
        again_after=min(looks, default=None),
        labels=_labels(node.metadata.labels),
    )


def _labels(told: Mapping[str, str]) -> dict[str, str]:
    wanted = {older: told[name] for name, older in OLDER_LABELS.items() if name in told}
    return {name: value for name, value in wanted.items() if told.get(name) != value}


def is_driven(node: Node, todo: Plan) -> bool:
    """Whether the node would begin to lose its pods."""
    return tainting.is_evicted(todo.taints) and not tainting.is_evicted(node.spec.taints)


def _unknown(node: Node, told: tuple[Condition, ...], type_: str) -> Condition:
    known = conditions.find(told, type_)
    if known is not None and known.status == "Unknown":
        return known
    never = known is None
    return Condition(
        type=type_,
        status="Unknown",
        reason="NodeStatusNeverUpdated" if never else "NodeStatusUnknown",
        message=f"Kubelet {'never posted' if never else 'stopped posting'} node status.",
        last_heartbeat_time=(
            node.metadata.creation_timestamp if known is None else known.last_heartbeat_time
        ),
    )


class Silence(NamedTuple):
    """Since the last sign of life of a node, how long that may be, and when this is so."""

    seconds: float
    grace_seconds: float
    now: float


class Cluster(Protocol):
    """What this controller asks of the API."""

    def node(self, key: Key) -> Node | None: ...
    def greet(self, key: Key, node: Node | None) -> None:
        """People are told once of one that came, and of one that went."""

    def silence(self, node: Node) -> Silence: ...
    def wait_seconds(self, node: Node) -> float | None:
        """Until it is the node's turn to lose its pods: 0 now, None while nobody shall."""

    def is_disrupted(self) -> bool:
        """Whether no node is heard of at all."""

    async def write(self, node: Node, todo: Plan) -> None: ...
    async def mark_pods_unready(self, node: Node) -> None:
        """So that no Service leads to a node nobody hears of."""


class NodeLifecycleController:
    """Watches over each node's signs of life."""

    name = "nodelifecycle"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def reconcile(self, key: Key) -> Result:
        node = self._cluster.node(key)
        self._cluster.greet(key, node)
        if node is None:
            return DONE
        silent, grace, now = self._cluster.silence(node)
        disrupted = self._cluster.is_disrupted()
        todo = plan(node, silent, grace, now, None if disrupted else 0.0)
        if is_driven(node, todo):
            # Its silence counts in its zone once it is written, and asks for another look then.
            counted = todo.conditions == node.status.conditions
            wait = self._cluster.wait_seconds(node) if counted else None
            if wait != 0.0:
                todo = plan(node, silent, grace, now, wait)
        spec = msgspec.structs.replace(node.spec, taints=todo.taints)
        if spec != node.spec or todo.labels or todo.conditions != node.status.conditions:
            await self._cluster.write(node, todo)
        if todo.lost:
            await self._cluster.mark_pods_unready(node)
        return Result(again_after=todo.again_after)
