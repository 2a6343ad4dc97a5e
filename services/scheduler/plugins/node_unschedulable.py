"""A cordoned node takes no new pods."""

from collections.abc import Iterator
from dataclasses import dataclass

from pilothouse.services.machinery.kinds import nodes, pods
from pilothouse.services.scheduler.candidate import Candidate
from pilothouse.services.scheduler.framework import Refusal
from pilothouse.services.scheduler.nodetable import NodeTable

SENTENCE = "node(s) were unschedulable"


@dataclass(frozen=True, slots=True)
class NodeUnschedulable:
    """Unless the pod tolerates the taint that stands for it (daemons do)."""

    name: str = "NodeUnschedulable"

    def refuse(self, pod: Candidate, table: NodeTable) -> Iterator[Refusal]:
        cordoned = table.unschedulable.cells
        if cordoned.any() and not any(
            pods.tolerates(toleration, nodes.UNSCHEDULABLE, "", "NoSchedule")
            for toleration in pod.tolerations
        ):
            yield SENTENCE, cordoned
