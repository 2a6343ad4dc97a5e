"""The zones that nodes are in: who is ready there, and whose turn it is to lose pods."""

from collections.abc import Iterator
from typing import NamedTuple

from pilothouse.services.controllers.node import tainting, zones
from pilothouse.services.controllers.node.zones import Census, Rates, State
from pilothouse.services.machinery import conditions
from pilothouse.services.machinery.kinds.nodes import Node
from pilothouse.services.runtime.exposition import Family

REGION = "topology.kubernetes.io/region"
ZONE = "topology.kubernetes.io/zone"
_OLDER = "failure-domain.beta.kubernetes.io/"
EXCLUDED = "node.kubernetes.io/exclude-disruption"
"""A node with this label says nothing of its zone, whatever becomes of it."""


class Zones:
    """Counted as nodes change; each zone has a bucket of one turn."""

    def __init__(self, rates: Rates) -> None:
        self.all_disrupted = False
        self._rates = rates
        self._nodes: dict[str, _Counted] = {}
        self._censuses: dict[str, Census] = {}
        self._states: dict[str, State] = {}
        self._next_turn: dict[str, float] = {}
        self._turned: set[str] = set()
        self._evictions: dict[str, int] = {}

    def count(self, old: Node | None, new: Node | None) -> bool:
        """A node changed; whether with it the state of any zone did."""
        item = new if new is not None else old
        if item is None:
            return False
        name = item.metadata.name
        if new is None or _is_settled(new):
            self._turned.discard(name)
        before = self._nodes.pop(name, None)
        after = _Counted.of(new) if new is not None else None
        if after is not None:
            self._nodes[name] = after
        if before == after:
            return False
        for counted, many in ((before, -1), (after, 1)):
            if counted is not None and not counted.excluded:
                self._add(counted, many)
        return self._judge()

    def _add(self, counted: "_Counted", many: int) -> None:
        known = self._censuses.get(counted.zone, Census())
        ready = known.ready + many * counted.ready
        census = Census(ready, known.size + many - ready)
        self._censuses[counted.zone] = census
        if not census.size:
            del self._censuses[counted.zone]

    def not_ready(self) -> list[str]:
        """The names of all nodes that are not."""
        return [name for name, counted in self._nodes.items() if not counted.ready]

    def wait_seconds(self, node: Node, now: float) -> float | None:
        """0 where it is the node's turn, which is then taken; None while its zone's is stopped."""
        zone, name = zone_of(node), node.metadata.name
        if name in self._turned:
            return 0.0
        rate = zones.rate(self._censuses.get(zone, Census()), self._rates)
        if rate <= 0:
            return None
        wait = self._next_turn.get(zone, now) - now
        if wait > 0:
            return wait
        self._next_turn[zone] = now + 1 / rate
        self._turned.add(name)
        self._evictions[zone] = self._evictions.get(zone, 0) + 1
        return 0.0

    def families(self) -> Iterator[Family]:
        """Upstream's ``node_collector_*``."""
        health = Family("node_collector_zone_health", "gauge", "Percent of nodes that are ready.")
        size = Family("node_collector_zone_size", "gauge", "Nodes of a zone.")
        bad = Family("node_collector_unhealthy_nodes_in_zone", "gauge", "Nodes that are not ready.")
        gone = Family("node_collector_evictions_total", "counter", "Nodes that lost their pods.")
        for zone, census in sorted(self._censuses.items()):
            name = ("zone", zone)
            health.add(census.health_percent, name)
            size.add(census.size, name)
            bad.add(census.not_ready, name)
        for zone, count in sorted(self._evictions.items()):
            gone.add(count, ("zone", zone))
        return iter((health, size, bad, gone))

    def _judge(self) -> bool:
        found = self._censuses
        states = {zone: zones.state(census, self._rates) for zone, census in found.items()}
        disrupted = zones.is_all_disrupted(found.values(), self._rates)
        changed = states != self._states or disrupted != self.all_disrupted
        self._states, self.all_disrupted = states, disrupted
        return changed


class _Counted(NamedTuple):
    """What of a node its zone is judged by."""

    zone: str
    ready: bool
    excluded: bool

    @classmethod
    def of(cls, node: Node) -> "_Counted":
        ready = conditions.is_true(node.status.conditions, "Ready")
        return cls(zone_of(node), ready, EXCLUDED in node.metadata.labels)


def zone_of(node: Node) -> str:
    """Region and zone, as upstream's metrics write them; empty where the node says neither."""
    labels = node.metadata.labels
    region = labels.get(_OLDER + "region", labels.get(REGION, ""))
    zone = labels.get(_OLDER + "zone", labels.get(ZONE, ""))
    return f"{region}:\x00:{zone}" if region or zone else ""


def _is_settled(node: Node) -> bool:
    """Whether a turn it was given is used, or not needed any more."""
    ready = conditions.is_true(node.status.conditions, "Ready")
    return ready or tainting.is_evicted(node.spec.taints)
