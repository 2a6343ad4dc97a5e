"""A pod that names its node goes there or nowhere."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pilothouse.services.scheduler.candidate import Candidate
from pilothouse.services.scheduler.framework import Refusal
from pilothouse.services.scheduler.nodetable import NodeTable

SENTENCE = "node(s) didn't match the requested node name"


@dataclass(frozen=True, slots=True)
class NodeName:
    """Only Explain asks this of pods that have a node; the queue holds none of them."""

    name: str = "NodeName"

    def refuse(self, pod: Candidate, table: NodeTable) -> Iterator[Refusal]:
        if pod.node_name:
            others = np.ones(len(table), dtype=np.bool_)
            if pod.node_name in table.rows:
                others[table.rows[pod.node_name]] = False
            yield SENTENCE, others
