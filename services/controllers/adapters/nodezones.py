"""The zones that nodes are in: who is ready there, and whose turn it is to lose pods."""

from collections.abc import Iterable, Iterator

from pilothouse.services.controllers.node import tainting, zones
from pilothouse.services.controllers.node.zones import Census, Rates, State
from pilothouse.services.machinery import conditions
from pilothouse.services.machinery.kinds.nodes import Node
from pilothouse.services.runtime.exposition import Family

REGION = "topology.kubernetes.io/region"
ZONE = "topology.kubernetes.io/zone"


class Zones:
    """Counted as nodes change; each zone has a bucket of one turn."""

    def __init__(self, rates: Rates) -> None:
        self.all_disrupted = False
        self._rates = rates
        self._members: dict[str, dict[str, bool]] = {}
        self._states: dict[str, State] = {}
        self._next_turn: dict[str, float] = {}
        self._turned: set[str] = set()
        self._evictions: dict[str, int] = {}

    def count(self, old: Node | None, new: Node | None) -> bool:
        """A node changed; whether with it the state of any zone did."""
        if old is not None:
            members = self._members.get(zone_of(old), {})
            members.pop(old.metadata.name, None)
            if not members:
                self._members.pop(zone_of(old), None)
        if new is not None:
            ready = conditions.is_true(new.status.conditions, "Ready")
            self._members.setdefault(zone_of(new), {})[new.metadata.name] = ready
        item = new if new is not None else old
        if item is not None and (new is None or _is_settled(new)):
            self._turned.discard(item.metadata.name)
        if old is not None and new is not None and _same(old, new):
            return False
        return self._judge()

    def not_ready(self) -> list[str]:
        """The names of all nodes that are not."""
        return [
            name for members in self._members.values() for name, ready in members.items()
            if not ready
        ]  # fmt: skip

    def wait_seconds(self, node: Node, now: float) -> float | None:
        """0 where it is the node's turn, which is then taken; None while its zone's is stopped."""
        zone, name = zone_of(node), node.metadata.name
        if name in self._turned:
            return 0.0
        rate = zones.rate(self._census(zone), self._rates)
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
        for zone in sorted(self._members):
            census, name = self._census(zone), ("zone", zone)
            health.add(census.health_percent, name)
            size.add(census.size, name)
            bad.add(census.not_ready, name)
        for zone, count in sorted(self._evictions.items()):
            gone.add(count, ("zone", zone))
        return iter((health, size, bad, gone))

    def _census(self, zone: str) -> Census:
        return _counted(self._members.get(zone, {}).values())

    def _judge(self) -> bool:
        found = {zone: self._census(zone) for zone in self._members}
        states = {zone: zones.state(census, self._rates) for zone, census in found.items()}
        disrupted = zones.is_all_disrupted(found.values(), self._rates)
        changed = states != self._states or disrupted != self.all_disrupted
        self._states, self.all_disrupted = states, disrupted
        return changed


def zone_of(node: Node) -> str:
    """Region and zone, as upstream's metrics write them; empty where the node says neither."""
    labels = node.metadata.labels
    region, zone = labels.get(REGION, ""), labels.get(ZONE, "")
    return f"{region}:\x00:{zone}" if region or zone else ""


def _is_settled(node: Node) -> bool:
    """Whether a turn it was given is used, or not needed any more."""
    ready = conditions.is_true(node.status.conditions, "Ready")
    return ready or tainting.is_evicted(node.spec.taints)


def _same(old: Node, new: Node) -> bool:
    return zone_of(old) == zone_of(new) and conditions.is_true(
        old.status.conditions, "Ready"
    ) == conditions.is_true(new.status.conditions, "Ready")


def _counted(ready: Iterable[bool]) -> Census:
    all_ = list(ready)
    well = sum(all_)
    return Census(well, len(all_) - well)
