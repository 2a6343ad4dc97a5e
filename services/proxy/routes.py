"""Routes to the pods of other nodes, each through its node (host gateway)."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from pilothouse.services.machinery.kinds.nodes import Node, internal_ip


@dataclass(frozen=True, slots=True, order=True)
class Route:
    """``destination`` is a pod CIDR, ``gateway`` its node's address."""

    destination: str
    gateway: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What to write and what to remove, sorted."""

    write: tuple[Route, ...] = ()
    remove: tuple[Route, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.write or self.remove)


def wanted(nodes: Iterable[Node], this: str) -> frozenset[Route]:
    """One route per other node that has both an address and a pod CIDR."""
    return frozenset(
        Route(node.spec.pod_cidr, internal_ip(node))
        for node in nodes
        if node.metadata.name != this
        and _is_network(node.spec.pod_cidr)
        and _is_network(internal_ip(node))
    )


def plan(want: frozenset[Route], installed: Iterable[Route]) -> Plan:
    """What makes ``want`` of ``installed``; a destination that moves is only written."""
    have = frozenset(installed)
    kept = {route.destination for route in want}
    return Plan(
        write=tuple(sorted(want - have)),
        remove=tuple(sorted(route for route in have - want if route.destination not in kept)),
    )


def _is_network(text: str) -> bool:
    try:
        ipaddress.IPv4Network(text)
    except ValueError:
        return False
    return True
