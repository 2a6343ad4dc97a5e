"""Node selector and node affinity: where the pod must be, and where it would rather be."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pilothouse.services.scheduler import eligible, scales
from pilothouse.services.scheduler.candidate import Candidate
from pilothouse.services.scheduler.columns import Mask, Scores
from pilothouse.services.scheduler.framework import Refusal
from pilothouse.services.scheduler.nodetable import NodeTable

SENTENCE = "node(s) didn't match Pod's node affinity/selector"


@dataclass(frozen=True, slots=True)
class NodeAffinity:
    """A preferred term adds its weight to the nodes that meet it."""

    name: str = "NodeAffinity"

    def refuse(self, pod: Candidate, table: NodeTable) -> Iterator[Refusal]:
        nodes = eligible.chosen(pod, table)
        if nodes is not None:
            yield SENTENCE, ~nodes

    def score(self, pod: Candidate, table: NodeTable, fits: Mask) -> Scores | None:
        if not pod.preferred_nodes:
            return None
        total = np.zeros(len(table))
        for weight, term in pod.preferred_nodes:
            total += weight * eligible.of_term(term, table)
        return scales.rising(total)
