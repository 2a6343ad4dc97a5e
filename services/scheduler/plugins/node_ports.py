"""A port of the node can be held by one pod."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pilothouse.services.scheduler.candidate import Candidate
from pilothouse.services.scheduler.framework import Refusal
from pilothouse.services.scheduler.nodetable import NodeTable

SENTENCE = "node(s) didn't have free ports for the requested pod ports"


@dataclass(frozen=True, slots=True)
class NodePorts:
    """hostPort, and every port of a pod in the node's network."""

    name: str = "NodePorts"

    def refuse(self, pod: Candidate, table: NodeTable) -> Iterator[Refusal]:
        if pod.host_ports:
            taken = np.zeros(len(table), dtype=np.bool_)
            for port in pod.host_ports:
                for node in table.ports.holders(port):
                    if node in table.rows:
                        taken[table.rows[node]] = True
            yield SENTENCE, taken
