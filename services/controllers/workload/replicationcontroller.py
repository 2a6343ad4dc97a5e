"""
ReplicationController: keep ``spec.replicas`` pods that carry the labels of ``spec.selector``.

Reads   ReplicationController, Pod (its own, and those that nobody controls)
Writes  Pod (create, delete, its owner reference), ReplicationController status
Again   when a pod may have become available after ``spec.minReadySeconds``

What it shares with the ReplicaSet is in :mod:`…machinery.kinds.replicas`.
"""

from collections.abc import Sequence
from typing import Protocol

from pilothouse.services.machinery import labels
from pilothouse.services.machinery.errors import ApiError
from pilothouse.services.machinery.kinds import replicas
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.kinds.replicas import Plan, Wanted
from pilothouse.services.machinery.kinds.workloads import ReplicaStatus, ReplicationController
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import DONE, Result

UNSEEN_SECONDS_MAX = 5.0


def plan(controller: ReplicationController, near: Sequence[Pod], now: float) -> Plan:
    """``near`` are pods of the namespace that it controls or that nobody controls."""
    wanted = Wanted(
        metadata=controller.metadata,
        replicas=controller.spec.replicas,
        min_ready_seconds=controller.spec.min_ready_seconds,
        selector=labels.compile_map(controller.spec.selector),
        template=controller.spec.template,
        status=controller.status,
    )
    return replicas.plan(wanted, near, now)


class Cluster(Protocol):
    """What this controller asks of the API."""

    def find(self, key: Key) -> ReplicationController | None: ...
    def pods_near(self, owner: ReplicationController) -> tuple[Sequence[Pod], Sequence[Pod]]:
        """Also those of its siblings, of which it has none."""

    def now(self) -> float: ...
    def settled(self, key: Key) -> bool:
        """Whether our own last writes for ``key`` have come back to us."""

    async def claim(self, owner: ReplicationController, todo: Plan) -> None:
        """Write who controls the pods to adopt and to release."""

    async def scale(self, owner: ReplicationController, todo: Plan) -> ApiError | None:
        """Create and delete pods; the first refusal."""

    async def write_status(self, owner: ReplicationController, status: ReplicaStatus) -> None: ...


class ReplicationControllerController:
    """Keeps each ReplicationController's number of pods."""

    name = "replicationcontroller"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def reconcile(self, key: Key) -> Result:
        controller = self._cluster.find(key)
        if controller is None:
            return DONE
        if not self._cluster.settled(key):
            return Result.unseen(UNSEEN_SECONDS_MAX)
        now = self._cluster.now()
        near, _ = self._cluster.pods_near(controller)
        todo = plan(controller, near, now)
        await self._cluster.claim(controller, todo)
        failure = await self._cluster.scale(controller, todo)
        status = replicas.with_failure(todo.status, failure, now, creating=not todo.delete)
        if status != controller.status:
            await self._cluster.write_status(controller, status)
        if failure is not None:
            raise failure
        return Result(again_after=todo.again_after)
