"""
Pod GC: delete pods that no kubelet will ever delete.

Reads   Pod, Node
Writes  Pod (status Failed, delete without grace)
Again   when a missing node has been missing for ``QUARANTINE_SECONDS``
"""

from dataclasses import dataclass
from typing import Protocol

from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import DONE, Result

QUARANTINE_SECONDS = 40.0


@dataclass(frozen=True, slots=True)
class Plan:
    """``orphaned``: its node seems to be gone for good, which has to be confirmed."""

    delete: bool
    orphaned: bool
    again_after: float | None


def plan(pod: Pod, missing_seconds: float | None) -> Plan:
    """``missing_seconds``: for how long its node has been missing; None when it is there."""
    if not pod.spec.node_name:
        return Plan(delete=pod.metadata.deleting, orphaned=False, again_after=None)
    if missing_seconds is None:
        return Plan(delete=False, orphaned=False, again_after=None)
    left = QUARANTINE_SECONDS - missing_seconds
    if left > 0:
        return Plan(delete=False, orphaned=False, again_after=left)
    return Plan(delete=True, orphaned=True, again_after=None)


class Cluster(Protocol):
    """What this controller asks of the API; keys are of pods."""

    def pod(self, key: Key) -> Pod | None: ...
    def missing_seconds(self, pod: Pod) -> float | None: ...
    async def is_node_gone(self, pod: Pod) -> bool:
        """Asks the API itself, since a cache may lag."""

    async def fail(self, pod: Pod) -> None:
        """Say that it has ended together with its node."""

    async def delete(self, pod: Pod) -> None: ...


class PodGCController:
    """Deletes each pod that nobody else will."""

    name = "podgc"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def reconcile(self, key: Key) -> Result:
        pod = self._cluster.pod(key)
        if pod is None:
            return DONE
        todo = plan(pod, self._cluster.missing_seconds(pod))
        if todo.orphaned and not await self._cluster.is_node_gone(pod):
            return Result(again_after=QUARANTINE_SECONDS)
        if todo.orphaned:
            await self._cluster.fail(pod)
        if todo.delete:
            await self._cluster.delete(pod)
        return Result(again_after=todo.again_after)
