"""How much of the nodes' CPU is in which zone."""

from collections.abc import Iterable

from pilothouse.services.machinery import conditions, quantity
from pilothouse.services.machinery.kinds.endpoints import ZONE
from pilothouse.services.machinery.kinds.nodes import Node

_CONTROL_PLANES = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")


def weight(node: Node | None) -> tuple[str, int] | None:
    """Its zone and thousandths of CPU; None where it bears no traffic."""
    if node is None or any(label in node.metadata.labels for label in _CONTROL_PLANES):
        return None
    if not conditions.is_true(node.status.conditions, "Ready"):
        return None
    milli = quantity.milli(node.status.allocatable.get("cpu", 0))
    return node.metadata.labels.get(ZONE, ""), milli


def by_zone(nodes: Iterable[Node]) -> dict[str, float] | None:
    """Each zone's part of all; None where a node says nothing, or there is but one zone."""
    found: dict[str, int] = {}
    for node in nodes:
        told = weight(node)
        if told is None:
            continue
        zone, milli = told
        if not zone or milli <= 0:
            return None
        found[zone] = found.get(zone, 0) + milli
    total = sum(found.values())
    return {zone: milli / total for zone, milli in found.items()} if len(found) > 1 else None
