"""Rather the node that would have most cpu and memory left."""

from dataclasses import dataclass

import numpy as np

from pilothouse.services.scheduler.candidate import Candidate
from pilothouse.services.scheduler.columns import Mask, Scores
from pilothouse.services.scheduler.framework import SCORE_MAX
from pilothouse.services.scheduler.nodetable import NodeTable


@dataclass(frozen=True, slots=True)
class LeastAllocated:
    """The mean of both free shares; the score of Kubernetes' NodeResourcesFit."""

    name: str = "NodeResourcesLeastAllocated"

    def score(self, pod: Candidate, table: NodeTable, fits: Mask) -> Scores | None:
        shares = table.resources.cpu.share(pod.ranked_millicpu)
        shares += table.resources.memory.share(pod.ranked_memory)
        shares *= SCORE_MAX / 2
        return np.maximum(shares, 0, out=shares)
