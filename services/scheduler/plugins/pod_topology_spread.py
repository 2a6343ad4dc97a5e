"""topologySpreadConstraints: no domain may run ahead of the emptiest by more than maxSkew."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pilothouse.services.scheduler import eligible, scales
from pilothouse.services.scheduler.candidate import Candidate, Spread
from pilothouse.services.scheduler.columns import Mask, Scores
from pilothouse.services.scheduler.framework import Refusal
from pilothouse.services.scheduler.groups import belongs
from pilothouse.services.scheduler.nodetable import NodeTable
from pilothouse.services.scheduler.taints import untolerated

SENTENCE = "node(s) didn't match pod topology spread constraints"
NO_LABEL = f"{SENTENCE} (missing required label)"


@dataclass(frozen=True, slots=True)
class PodTopologySpread:
    """Hard constraints refuse, soft ones rank."""

    name: str = "PodTopologySpread"

    def refuse(self, pod: Candidate, table: NodeTable) -> Iterator[Refusal]:
        constraints = pod.neighbours.spread
        if not constraints:
            return
        labelled = np.ones(len(table), dtype=np.bool_)
        for constraint in constraints:
            labelled &= table.labels.domains(constraint.term.topology_key) != 0
        yield NO_LABEL, ~labelled
        for constraint in constraints:
            counted = _counted(constraint, pod, table, labelled)
            yield SENTENCE, labelled & _ahead(constraint, pod, table, counted)

    def score(self, pod: Candidate, table: NodeTable, fits: Mask) -> Scores | None:
        if not pod.neighbours.prefers_spread:
            return None
        total = np.zeros(len(table), dtype=np.int64)
        for constraint in pod.neighbours.prefers_spread:
            counts = table.pods_of_group(constraint.term.group)
            total += table.labels.in_domain(constraint.term.topology_key, counts)
        return scales.falling(total)


def _counted(constraint: Spread, pod: Candidate, table: NodeTable, labelled: Mask) -> Mask:
    """The nodes whose domains and pods the constraint looks at."""
    counted = labelled
    nodes = eligible.chosen(pod, table) if constraint.honor_affinity else None
    if nodes is not None:
        counted = counted & nodes
    if constraint.honor_taints:
        for taints, tainted in table.taints.present():
            if any(taint.refuses for taint in untolerated(taints, pod.tolerations)):
                counted = counted & ~tainted
    return counted


def _ahead(constraint: Spread, pod: Candidate, table: NodeTable, counted: Mask) -> Mask:
    """The nodes whose domain would be more than maxSkew ahead of the emptiest."""
    key, group = constraint.term.topology_key, constraint.term.group
    sums = table.labels.in_domain(key, table.pods_of_group(group), counted)
    least = sums.min(where=counted, initial=np.iinfo(np.int64).max) if counted.any() else 0
    if constraint.min_domains > 1:
        domains = len(np.unique(table.labels.domains(key)[counted]))
        least = 0 if domains < constraint.min_domains else least
    own = belongs(group, pod, table.namespaces)
    ahead: Mask = sums + (own - least) > constraint.max_skew
    return ahead
