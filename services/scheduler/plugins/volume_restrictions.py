"""A claim that is for a single pod is used by one pod at a time."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pilothouse.services.scheduler.candidate import Candidate
from pilothouse.services.scheduler.framework import Refusal
from pilothouse.services.scheduler.nodetable import NodeTable

SENTENCE = (
    "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"
)
ALONE = "ReadWriteOncePod"


@dataclass(frozen=True, slots=True)
class VolumeRestrictions:
    """ReadWriteOncePod."""

    name: str = "VolumeRestrictions"

    def refuse(self, pod: Candidate, table: NodeTable) -> Iterator[Refusal]:
        for need in pod.claims:
            claim = table.volumes.claims.get(need.claim)
            if claim is None or ALONE not in claim.spec.access_modes:
                continue
            if table.volumes.users(need.claim):
                yield SENTENCE, np.ones(len(table), dtype=np.bool_)
