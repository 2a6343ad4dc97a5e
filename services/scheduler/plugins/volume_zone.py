"""A volume that says in which zones it is can be had there only."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pilothouse.services.machinery.labels import Requirement
from pilothouse.services.scheduler.candidate import Candidate
from pilothouse.services.scheduler.columns import Mask
from pilothouse.services.scheduler.framework import Refusal
from pilothouse.services.scheduler.nodetable import NodeTable

SENTENCE = "node(s) had no available volume zone"
LABELS = {
    "topology.kubernetes.io/zone": "failure-domain.beta.kubernetes.io/zone",
    "topology.kubernetes.io/region": "failure-domain.beta.kubernetes.io/region",
}
"""Each with the name it had before; nodes have either."""
BETWEEN = "__"


@dataclass(frozen=True, slots=True)
class VolumeZone:
    """By the labels of bound volumes."""

    name: str = "VolumeZone"

    def refuse(self, pod: Candidate, table: NodeTable) -> Iterator[Refusal]:
        for need in pod.claims:
            claim = table.volumes.claims.get(need.claim)
            held = table.volumes.volumes.get(claim.spec.volume_name) if claim is not None else None
            if held is None:
                continue
            for label, before in LABELS.items():
                for key in (label, before):
                    if key in held.metadata.labels:
                        zones = frozenset(held.metadata.labels[key].split(BETWEEN))
                        nodes = table.labels.matches(Requirement(label, "in", zones))
                        nodes |= table.labels.matches(Requirement(before, "in", zones))
                        yield SENTENCE, ~nodes & _zoned(table)


def _zoned(table: NodeTable) -> Mask:
    """The nodes that say where they are; all others are taken to be everywhere."""
    nodes = np.zeros(len(table), dtype=np.bool_)
    for key in (*LABELS, *LABELS.values()):
        nodes |= table.labels.matches(Requirement(key, "exists"))
    return nodes
