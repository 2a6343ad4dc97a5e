"""
Pod GC: delete pods that no kubelet will ever delete.

Reads   Pod, Node (its taint ``out-of-service``)
Writes  Pod (status Failed, delete without grace)
Again   when a missing node has been missing for ``QUARANTINE_SECONDS``
"""

from dataclasses import dataclass
from typing import Protocol

from pilothouse.services.machinery.kinds import pods
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import DONE, Result

QUARANTINE_SECONDS = 40.0
ORPHANED = "PodGC: node no longer exists"


@dataclass(frozen=True, slots=True)
class Plan:
    """``orphaned``: its node seems to be gone for good, which has to be confirmed.

    ``why`` is told of a pod that ends because its node is gone, empty where nothing is.
    """

    delete: bool
    orphaned: bool = False
    again_after: float | None = None
    why: str = ""


def plan(
    pod: Pod, missing_seconds: float | None, *, out_of_service: bool = False, surplus: bool = False
) -> Plan:
    """``missing_seconds``: for how long its node has been missing; None when it is there.

    ``out_of_service``: somebody says of its node that it is, and it is not ready. ``surplus``:
    too many pods have ended, and it is of the oldest.
    """
    if surplus and pods.is_terminal(pod):
        return Plan(delete=True)
    if not pod.spec.node_name:
        return Plan(delete=pod.metadata.deleting)
    if missing_seconds is None:
        return Plan(delete=out_of_service and pod.metadata.deleting)
    left = QUARANTINE_SECONDS - missing_seconds
    if left > 0:
        return Plan(delete=False, again_after=left)
    return Plan(delete=True, orphaned=True, why=ORPHANED)


class Cluster(Protocol):
    """What this controller asks of the API; keys are of pods."""

    def pod(self, key: Key) -> Pod | None: ...
    def missing_seconds(self, pod: Pod) -> float | None: ...
    def is_out_of_service(self, pod: Pod) -> bool: ...
    def is_surplus(self, pod: Pod) -> bool: ...
    async def is_node_gone(self, pod: Pod) -> bool:
        """Asks the API itself, since a cache may lag."""

    async def fail(self, pod: Pod, why: str) -> None:
        """Say that it has ended, and why if there is something to say."""

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
        todo = plan(
            pod,
            self._cluster.missing_seconds(pod),
            out_of_service=self._cluster.is_out_of_service(pod),
            surplus=self._cluster.is_surplus(pod),
        )
        if todo.orphaned and not await self._cluster.is_node_gone(pod):
            return Result(again_after=QUARANTINE_SECONDS)
        if todo.delete and not pods.is_terminal(pod):
            # Finalizers may keep it: who holds them waits for its end, which nobody else tells.
            await self._cluster.fail(pod, todo.why)
        if todo.delete:
            await self._cluster.delete(pod)
        return Result(again_after=todo.again_after)
