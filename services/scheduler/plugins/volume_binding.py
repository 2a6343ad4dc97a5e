"""The claims of a pod are bound, and where it goes their volumes can be had."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pilothouse.services.machinery.kinds import binding
from pilothouse.services.machinery.objects import controller_of
from pilothouse.services.scheduler import volumechoice
from pilothouse.services.scheduler.candidate import Candidate, Need
from pilothouse.services.scheduler.framework import Refusal
from pilothouse.services.scheduler.nodetable import NodeTable
from pilothouse.services.scheduler.volumetable import is_bound

UNBOUND = "pod has unbound immediate PersistentVolumeClaims"
ELSEWHERE = "node(s) didn't match PersistentVolume's node affinity"
NONE_LEFT = "node(s) didn't find available persistent volumes to bind"
GONE = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"


@dataclass(frozen=True, slots=True)
class VolumeBinding:
    """Claims of late binding get their volumes with the node; all others must have them."""

    name: str = "VolumeBinding"

    def hinders(self, pod: Candidate, table: NodeTable) -> str:
        if not pod.claims:
            return ""
        for need in pod.claims:
            if reason := _wrong(pod, need, table):
                return reason
        volumes = table.volumes
        for claim in volumechoice.late(pod, table):
            found = volumes.class_of(claim)
            is_late = found is not None and found.volume_binding_mode == binding.LATE
            if claim.spec.volume_name or not is_late:
                return UNBOUND
        return ""

    def refuse(self, pod: Candidate, table: NodeTable) -> Iterator[Refusal]:
        if not pod.claims:
            return
        for need in pod.claims:
            claim = table.volumes.claims.get(need.claim)
            if claim is None or not is_bound(claim):
                continue
            if claim.spec.volume_name not in table.volumes.volumes:
                yield GONE, np.ones(len(table), dtype=np.bool_)
            elif table.volumes.terms(claim.spec.volume_name) is not None:
                yield ELSEWHERE, ~volumechoice.reached(claim.spec.volume_name, table)
        late = volumechoice.late(pod, table)
        if late:
            yield NONE_LEFT, ~volumechoice.choose(late, table).fits


def _wrong(pod: Candidate, need: Need, table: NodeTable) -> str:
    """Why the claim is of no use to anybody, or not to this pod."""
    claim, name = table.volumes.claims.get(need.claim), need.claim.name
    if claim is None and need.own:
        return (
            f'waiting for ephemeral volume controller to create the persistentvolumeclaim "{name}"'
        )
    if claim is None:
        return f'persistentvolumeclaim "{name}" not found'
    if claim.status.phase == "Lost":
        volume = claim.spec.volume_name
        return f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume "{volume}"'
    if claim.metadata.deleting:
        return f'persistentvolumeclaim "{name}" is being deleted'
    owner = controller_of(claim.metadata)
    if need.own and (owner is None or owner.uid != pod.uid):
        return f"PVC {need.claim} was not created for pod {pod.key} (pod is not owner)"
    return ""
