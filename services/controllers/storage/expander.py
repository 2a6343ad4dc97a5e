"""
Expansion: whoever wants more of a volume is told who sees to it, which is nobody here.

Reads   PersistentVolumeClaim, PersistentVolume
Writes  nothing but an event: volumes are expanded by their drivers' own controllers
Again   never
"""

from typing import Protocol

from pilothouse.services.machinery import quantity
from pilothouse.services.machinery.kinds import binding
from pilothouse.services.machinery.kinds.volumes import Claim, PersistentVolume
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import DONE, Result

TEXT = "waiting for an external controller to expand this PVC"
BEFORE = "volume.alpha.kubernetes.io/pre-resize-capacity"
"""On a volume that a driver is expanding for the node to follow."""


def waits(claim: Claim, volume: PersistentVolume | None) -> bool:
    """Whether a bound claim asks for more than it has."""
    reference = volume.spec.claim_ref if volume is not None else None
    if volume is None or reference is None or reference.uid != claim.metadata.uid:
        return False
    if claim.metadata.deleting or claim.status.phase != "Bound":
        return False
    has = quantity.ceiling(claim.status.capacity.get(binding.STORAGE, 0))
    return binding.requested(claim) > has or BEFORE in volume.metadata.annotations


class Cluster(Protocol):
    """What this controller asks of the API."""

    def claim(self, key: Key) -> Claim | None: ...
    def volume(self, claim: Claim) -> PersistentVolume | None: ...
    def say(self, claim: Claim, text: str) -> None: ...


class ExpandController:
    """Tells."""

    name = "persistentvolume-expander"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def reconcile(self, key: Key) -> Result:
        claim = self._cluster.claim(key)
        if claim is not None and waits(claim, self._cluster.volume(claim)):
            self._cluster.say(claim, TEXT)
        return DONE
