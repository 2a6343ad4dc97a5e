"""
Deployment: bring ``spec.replicas`` pods of the present template up, and the old ones down.

Reads   Deployment, ReplicaSet (its own, and those that nobody controls), Pod (whether old ones run)
Writes  ReplicaSet (create, size, annotations, delete), Deployment status and revision
Again   when a rollout without progress runs into ``spec.progressDeadlineSeconds``

One step at a time: what a step changed comes back through the cache and asks for the next one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pilothouse.services.controllers.workload.rollout import changes, progress, revisions, sizes
from pilothouse.services.controllers.workload.rollout.changes import Birth, Change
from pilothouse.services.machinery.adoption import Claim
from pilothouse.services.machinery.errors import ApiError
from pilothouse.services.machinery.kinds.workloads import Deployment, DeploymentStatus, ReplicaSet
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import DONE, Result

UNSEEN_SECONDS_MAX = 5.0


@dataclass(frozen=True, slots=True)
class Plan:
    claim: Claim[ReplicaSet]
    create: Birth | None
    change: tuple[Change, ...]
    delete: tuple[ReplicaSet, ...]
    revision: str
    status: DeploymentStatus
    again_after: float | None


def plan(
    deployment: Deployment, near: Sequence[ReplicaSet], running: frozenset[str], now: float
) -> Plan:
    """``running``: uids of ReplicaSets of which some pod's containers may still run."""
    claim = revisions.claimed(deployment, near)
    new, olds = revisions.split(deployment, claim.owned)
    leaving = deployment.metadata.deleting
    old_pods_run = any(item.metadata.uid in running for item in olds)
    step = {} if leaving else sizes.next_sizes(deployment, new, olds, old_pods_run=old_pods_run)
    create = changes.birth(deployment, olds, step[""]) if "" in step else None
    change = () if leaving else changes.changes(deployment, new, olds, step)
    born = create.name if create is not None else ""
    status = progress.status(deployment, new, claim.owned, born, now)
    arrived = deployment.spec.paused or progress.is_complete(deployment, status)
    left = progress.seconds_left(deployment, status, now)
    return Plan(
        claim=claim,
        create=create,
        change=change,
        delete=revisions.outdated(deployment, olds) if arrived and not leaving else (),
        revision=changes.revision(new, create, change),
        status=status,
        again_after=None if left is None else max(left, 0.0) + 1.0,
    )


def _told(
    deployment: Deployment, todo: Plan, failure: ApiError | None, now: float
) -> DeploymentStatus:
    """The plan's status; where its ReplicaSet could not be made, the earlier one that says why."""
    if failure is None or todo.create is None:
        return todo.status
    return progress.with_refusal(deployment, todo.create.name, failure.message, now)


class Cluster(Protocol):
    """What this controller asks of the API."""

    def find(self, key: Key) -> Deployment | None: ...
    def replicasets_near(self, deployment: Deployment) -> Sequence[ReplicaSet]: ...
    def running(self, deployment: Deployment) -> frozenset[str]:
        """Uids of its ReplicaSets that have pods which have not ended."""

    def now(self) -> float: ...
    def settled(self, key: Key) -> bool:
        """Whether our own last writes for ``key`` have come back to us."""

    async def roll(self, deployment: Deployment, todo: Plan) -> ApiError | None:
        """Write all of the plan but the status; why the new ReplicaSet could not be made."""

    async def write_status(self, deployment: Deployment, status: DeploymentStatus) -> None: ...


class DeploymentController:
    """Rolls each Deployment towards its template."""

    name = "deployment"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def reconcile(self, key: Key) -> Result:
        deployment = self._cluster.find(key)
        if deployment is None:
            return DONE
        if not self._cluster.settled(key):
            return Result.unseen(UNSEEN_SECONDS_MAX)
        near = self._cluster.replicasets_near(deployment)
        todo = plan(deployment, near, self._cluster.running(deployment), self._cluster.now())
        failure = await self._cluster.roll(deployment, todo)
        status = _told(deployment, todo, failure, self._cluster.now())
        if status != deployment.status:
            await self._cluster.write_status(deployment, status)
        if failure is not None:
            raise failure
        return Result(again_after=todo.again_after)
