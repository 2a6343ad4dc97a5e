"""Pods of one owner spread over nodes, and over zones where nodes have them."""

from dataclasses import dataclass

from pilothouse.services.scheduler import scales
from pilothouse.services.scheduler.candidate import Candidate
from pilothouse.services.scheduler.columns import Mask, Scores
from pilothouse.services.scheduler.nodetable import NodeTable

ZONE = "topology.kubernetes.io/zone"
ZONE_PART = 2 / 3


@dataclass(frozen=True, slots=True)
class OwnerSpread:
    """The fewer live pods of the same ReplicaSet (or other controller) the better."""

    name: str = "SelectorSpread"

    def score(self, pod: Candidate, table: NodeTable, fits: Mask) -> Scores | None:
        if not pod.owner or pod.neighbours.prefers_spread:
            return None
        counts = table.pods_of_owner(pod.owner)
        by_node = scales.falling(counts)
        if by_node is None or not table.labels.has(ZONE):
            return by_node
        by_zone = scales.falling(table.labels.in_domain(ZONE, counts))
        return by_node if by_zone is None else by_node * (1 - ZONE_PART) + by_zone * ZONE_PART
