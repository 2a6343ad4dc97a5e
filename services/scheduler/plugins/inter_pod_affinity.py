"""Pods that must, may not, or would rather share a domain with other pods."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pilothouse.services.scheduler import scales
from pilothouse.services.scheduler.candidate import Candidate
from pilothouse.services.scheduler.columns import Mask, Scores
from pilothouse.services.scheduler.framework import Refusal
from pilothouse.services.scheduler.groups import belongs
from pilothouse.services.scheduler.nodetable import NodeTable

AFFINITY = "node(s) didn't match pod affinity rules"
ANTI_AFFINITY = "node(s) didn't match pod anti-affinity rules"
OTHERS_ANTI_AFFINITY = "node(s) didn't satisfy existing pods anti-affinity rules"


@dataclass(frozen=True, slots=True)
class InterPodAffinity:
    """Anti-affinity works both ways: a pod's own, and that of pods that are already placed."""

    name: str = "InterPodAffinity"

    def refuse(self, pod: Candidate, table: NodeTable) -> Iterator[Refusal]:
        # Of several reasons on one node Kubernetes tells the first.
        told = np.zeros(len(table), dtype=np.bool_)
        for sentence, nodes in _refuse(pod, table):
            yield sentence, nodes & ~told
            told |= nodes

    def score(self, pod: Candidate, table: NodeTable, fits: Mask) -> Scores | None:
        if not pod.neighbours.prefers:
            return None
        total = np.zeros(len(table), dtype=np.int64)
        for weight, term in pod.neighbours.prefers:
            counts = table.pods_of_group(term.group)
            total += weight * table.labels.in_domain(term.topology_key, counts)
        return scales.rising(total)


def _refuse(pod: Candidate, table: NodeTable) -> Iterator[Refusal]:
    if pod.neighbours.beside:
        yield AFFINITY, _far(pod, table)
    for term in pod.neighbours.apart:
        counts = table.pods_of_group(term.group)
        yield ANTI_AFFINITY, table.labels.in_domain(term.topology_key, counts) > 0
    for term, carriers in table.repelled_by(pod):
        nodes = table.labels.in_domain(term.topology_key, carriers) > 0
        yield OTHERS_ANTI_AFFINITY, nodes


def _far(pod: Candidate, table: NodeTable) -> Mask:
    """The nodes where a term is not met; the first pod of a group that wants itself may go."""
    unlabelled = np.zeros(len(table), dtype=np.bool_)
    lonely = np.zeros(len(table), dtype=np.bool_)
    nobody = True
    for term in pod.neighbours.beside:
        counts = table.pods_of_group(term.group)
        nobody = nobody and not counts.any()
        unlabelled |= table.labels.domains(term.topology_key) == 0
        lonely |= table.labels.in_domain(term.topology_key, counts) == 0
    if nobody and all(belongs(term.group, pod, table.namespaces) for term in pod.neighbours.beside):
        return unlabelled
    return lonely
