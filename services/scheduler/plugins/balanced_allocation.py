"""Rather the node whose cpu and memory would be used alike."""

from dataclasses import dataclass

import numpy as np

from pilothouse.services.scheduler.candidate import Candidate
from pilothouse.services.scheduler.columns import Mask, Scores
from pilothouse.services.scheduler.framework import SCORE_MAX
from pilothouse.services.scheduler.nodetable import NodeTable


@dataclass(frozen=True, slots=True)
class BalancedAllocation:
    """100 less the standard deviation of the two used shares, which is half their distance."""

    name: str = "NodeResourcesBalancedAllocation"

    def score(self, pod: Candidate, table: NodeTable, fits: Mask) -> Scores | None:
        distance = table.resources.cpu.share(pod.ranked_millicpu)
        distance -= table.resources.memory.share(pod.ranked_memory)
        np.abs(distance, out=distance)
        distance *= -SCORE_MAX / 2
        distance += SCORE_MAX
        return np.maximum(distance, 0, out=distance)
