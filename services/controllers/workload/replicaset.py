"""
ReplicaSet: keep ``spec.replicas`` pods that match ``spec.selector``.

Reads   ReplicaSet, Pod (its own, and those that nobody controls)
Writes  Pod (create, delete, its owner reference), ReplicaSet status
Again   when a pod may have become available after ``spec.minReadySeconds``

What it shares with the ReplicationController is in :mod:`…machinery.kinds.replicas`.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from msgspec import structs

from pilothouse.services.machinery import labels
from pilothouse.services.machinery.errors import ApiError
from pilothouse.services.machinery.kinds import replicas
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.kinds.replicas import Plan, Wanted
from pilothouse.services.machinery.kinds.workloads import ReplicaSet, ReplicaStatus
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import DONE, Result

UNSEEN_SECONDS_MAX = 5.0


def plan(
    replicaset: ReplicaSet, near: Sequence[Pod], now: float, beside: Sequence[Pod] = ()
) -> Plan:
    """``near`` are pods of the namespace that it controls or that nobody controls.

    ``beside`` are those of the other ReplicaSets of its Deployment.
    """
    wanted = Wanted(
        metadata=replicaset.metadata,
        replicas=replicaset.spec.replicas,
        min_ready_seconds=replicaset.spec.min_ready_seconds,
        selector=labels.compile_selector(replicaset.spec.selector),
        template=replicaset.spec.template,
        status=replicaset.status,
    )
    todo = replicas.plan(wanted, near, now, beside)
    going = replicas.terminating(replicaset.metadata, wanted.selector, near)
    return replace(todo, status=structs.replace(todo.status, terminating_replicas=going))


class Cluster(Protocol):
    """What this controller asks of the API."""

    def find(self, key: Key) -> ReplicaSet | None: ...
    def pods_near(self, owner: ReplicaSet) -> tuple[Sequence[Pod], Sequence[Pod]]:
        """Also those of its siblings, where that matters."""

    def now(self) -> float: ...
    def settled(self, key: Key) -> bool:
        """Whether our own last writes for ``key`` have come back to us."""

    async def claim(self, owner: ReplicaSet, todo: Plan) -> None:
        """Write who controls the pods to adopt and to release."""

    async def scale(self, owner: ReplicaSet, todo: Plan) -> ApiError | None:
        """Create and delete pods; the first refusal."""

    async def write_status(self, owner: ReplicaSet, status: ReplicaStatus) -> None: ...


class ReplicaSetController:
    """Keeps each ReplicaSet's number of pods."""

    name = "replicaset"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def reconcile(self, key: Key) -> Result:
        replicaset = self._cluster.find(key)
        if replicaset is None:
            return DONE
        if not self._cluster.settled(key):
            return Result.unseen(UNSEEN_SECONDS_MAX)
        now = self._cluster.now()
        near, beside = self._cluster.pods_near(replicaset)
        todo = plan(replicaset, near, now, beside)
        await self._cluster.claim(replicaset, todo)
        failure = await self._cluster.scale(replicaset, todo)
        status = replicas.with_failure(todo.status, failure, now, creating=not todo.delete)
        if status != replicaset.status:
            await self._cluster.write_status(replicaset, status)
        if failure is not None:
            raise failure
        return Result(again_after=todo.again_after)
