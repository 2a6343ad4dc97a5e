"""A taint keeps away, or ranks down, the pods that do not tolerate it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pilothouse.services.scheduler import scales
from pilothouse.services.scheduler.candidate import Candidate
from pilothouse.services.scheduler.columns import Mask, Scores
from pilothouse.services.scheduler.framework import Refusal
from pilothouse.services.scheduler.nodetable import NodeTable
from pilothouse.services.scheduler.taints import untolerated


@dataclass(frozen=True, slots=True)
class TaintToleration:
    """The sentence names the first taint that is not tolerated."""

    name: str = "TaintToleration"

    def refuse(self, pod: Candidate, table: NodeTable) -> Iterator[Refusal]:
        for taints, nodes in table.taints.present():
            for taint in untolerated(taints, pod.tolerations):
                if taint.refuses:
                    yield f"node(s) had untolerated taint {{{taint.key}: {taint.value}}}", nodes
                    break

    def score(self, pod: Candidate, table: NodeTable, fits: Mask) -> Scores | None:
        counts = None
        for taints, nodes in table.taints.present():
            soft = sum(not taint.refuses for taint in untolerated(taints, pod.tolerations))
            if soft:
                counts = np.zeros(len(table), dtype=np.int32) if counts is None else counts
                counts[nodes] = soft
        return None if counts is None else scales.falling(counts)
