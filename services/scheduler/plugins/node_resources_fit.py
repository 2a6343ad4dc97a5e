"""A node takes a pod only while what the pod requests is free on it."""

from collections.abc import Iterator
from dataclasses import dataclass

from pilothouse.services.scheduler.candidate import Candidate
from pilothouse.services.scheduler.framework import Refusal
from pilothouse.services.scheduler.nodetable import NodeTable

TOO_MANY = "Too many pods"


@dataclass(frozen=True, slots=True)
class NodeResourcesFit:
    """Every resource that is short is told."""

    name: str = "NodeResourcesFit"

    def refuse(self, pod: Candidate, table: NodeTable) -> Iterator[Refusal]:
        for resource, need in pod.amounts.items():
            sentence = TOO_MANY if resource == "pods" else f"Insufficient {resource}"
            yield sentence, table.resources.lacking(resource, need)
