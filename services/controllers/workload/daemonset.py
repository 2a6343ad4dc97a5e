"""
DaemonSet: keep one pod of the present template on each node that will have it.

Reads   DaemonSet, Node, Pod and ControllerRevision (its own, and those that nobody controls)
Writes  Pod (create, delete, owner, hash), ControllerRevision, DaemonSet status
Again   when a pod may have become available, or a failed one may be replaced

One step at a time: what a step changed comes back through the cache and asks for the next one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pilothouse.services.controllers.workload.daemons import placing, status, steps
from pilothouse.services.machinery import adoption, labels
from pilothouse.services.machinery.adoption import Claim
from pilothouse.services.machinery.errors import ApiError
from pilothouse.services.machinery.kinds import pods, revisions
from pilothouse.services.machinery.kinds.daemonsets import DaemonSet, DaemonSetStatus
from pilothouse.services.machinery.kinds.nodes import Node
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.kinds.revisions import (
    POD_HASH,
    ControllerRevision,
    History,
    Wanted,
)
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import DONE, Result
from pilothouse.services.runtime.control.patience import Patience

UNSEEN_SECONDS_MAX = 5.0


@dataclass(frozen=True, slots=True)
class Observed:
    """All nodes; of the namespace its own pods and revisions, and those that nobody controls."""

    nodes: Sequence[Node] = ()
    pods: Sequence[Pod] = ()
    revisions: Sequence[ControllerRevision] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """``mark`` is the hash that new pods bear, and that ``remark`` shall bear from now on."""

    history: History
    members: Claim[Pod]
    mark: str
    remark: tuple[Pod, ...]
    step: steps.Step
    status: DaemonSetStatus
    again_after: float | None


def plan(daemonset: DaemonSet, seen: Observed, held: Mapping[str, float], now: float) -> Plan:
    """One step towards a pod on each node.

    ``held``: for how many seconds more a node's failed pod is to be left where it is.
    """
    selector = labels.compile_selector(daemonset.spec.selector)
    claim = adoption.claimed(daemonset.metadata, selector, seen.revisions)
    kept = revisions.in_order([item for item in claim.owned if not item.metadata.deleting])
    wanted = revisions.wanted(
        daemonset.metadata.name, daemonset.spec.template, kept, daemonset.status.collision_count
    )
    ours = adoption.claimed(daemonset.metadata, selector, seen.pods)
    places = placing.place(daemonset, seen.nodes, ours.owned)
    doubled = {_mark(item) for item in wanted.doubles}
    marks = doubled | {wanted.ending}
    step = steps.Look(daemonset, places, marks, held, now).next()
    waits = [pods.available_in(pod, daemonset.spec.min_ready_seconds, now) for pod in ours.owned]
    told = [wait for wait in (*waits, step.again_after) if wait]
    return Plan(
        history=History(
            claim, wanted, (*wanted.doubles, *_outdated(daemonset, kept, wanted, ours.owned))
        ),
        members=ours,
        mark=wanted.ending,
        remark=tuple(pod for pod in ours.owned if pod.metadata.labels.get(POD_HASH) in doubled),
        step=step,
        status=status.counted(daemonset, places, marks, now),
        again_after=min(told, default=None),
    )


def _mark(revision: ControllerRevision) -> str:
    return revision.metadata.labels.get(POD_HASH, revision.metadata.name)


def _outdated(
    daemonset: DaemonSet, kept: Sequence[ControllerRevision], wanted: Wanted, owned: Sequence[Pod]
) -> tuple[ControllerRevision, ...]:
    """Earlier revisions beyond the history's limit, but none of which a pod is left."""
    present = (wanted.present, *wanted.doubles)
    olds = [item for item in kept if item not in present]
    live = {pod.metadata.labels.get(POD_HASH) for pod in owned}
    excess = max(len(olds) - daemonset.spec.revision_history_limit, 0)
    return tuple([item for item in olds if _mark(item) not in live][:excess])


class Cluster(Protocol):
    """What this controller asks of the API."""

    def find(self, key: Key) -> DaemonSet | None: ...
    def observe(self, daemonset: DaemonSet) -> Observed: ...
    def now(self) -> float: ...
    def settled(self, key: Key) -> bool:
        """Whether our own last writes for ``key`` have come back to us."""

    async def roll(self, daemonset: DaemonSet, todo: Plan) -> ApiError | None:
        """Write all of the plan but the status; the first refusal."""

    async def write_status(self, daemonset: DaemonSet, status: DaemonSetStatus) -> None: ...


class DaemonSetController:
    """Keeps each DaemonSet's pods, and remembers where they failed."""

    name = "daemonset"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._patience = Patience()

    async def reconcile(self, key: Key) -> Result:
        daemonset = self._cluster.find(key)
        if daemonset is None or daemonset.metadata.deleting:
            return DONE
        if not self._cluster.settled(key):
            return Result.unseen(UNSEEN_SECONDS_MAX)
        now = self._cluster.now()
        # A change of the spec is another trial.
        trial = (daemonset.metadata.uid, daemonset.status.observed_generation)
        held = self._patience.held(trial, now)
        todo = plan(daemonset, self._cluster.observe(daemonset), held, now)
        for node, pod in todo.step.ended:
            if pod.status.phase == "Failed":
                self._patience.failed(trial, node, now)
        failure = await self._cluster.roll(daemonset, todo)
        if todo.status != daemonset.status:
            await self._cluster.write_status(daemonset, todo.status)
        if failure is not None:
            raise failure
        return Result(again_after=todo.again_after)
