"""
Protection: a claim, a volume or a class that is to be deleted goes when nobody uses it any more.

Reads   PersistentVolumeClaim, PersistentVolume, VolumeAttributesClass, Pod
Writes  the finalizer of the kind (off)
Again   never: whatever ends a use is a change
"""

from dataclasses import dataclass
from typing import Protocol

from pilothouse.services.machinery.objects import Key, Metadata, Viewed
from pilothouse.services.runtime.control.loop import DONE, Result


@dataclass(frozen=True, slots=True)
class Plan:
    """``finalizers``: those that stay; None when nothing is to be written."""

    finalizers: tuple[str, ...] | None


def plan(metadata: Metadata, finalizer: str, *, used: bool) -> Plan:
    """Free an object that is to go and is not used."""
    if used or not metadata.deleting or finalizer not in metadata.finalizers:
        return Plan(None)
    return Plan(tuple(kept for kept in metadata.finalizers if kept != finalizer))


class Cluster(Protocol):
    """What this controller asks of the API about the one kind that it protects."""

    finalizer: str

    def find(self, key: Key) -> Viewed | None: ...
    def is_used(self, key: Key) -> bool: ...
    async def free(self, metadata: Metadata, finalizers: tuple[str, ...]) -> None: ...


class ProtectionController:
    """Takes the finalizer off."""

    def __init__(self, name: str, cluster: Cluster) -> None:
        self.name = name
        self._cluster = cluster

    async def reconcile(self, key: Key) -> Result:
        found = self._cluster.find(key)
        if found is None or not found.metadata.deleting:
            return DONE
        todo = plan(found.metadata, self._cluster.finalizer, used=self._cluster.is_used(key))
        if todo.finalizers is not None:
            await self._cluster.free(found.metadata, todo.finalizers)
        return DONE
