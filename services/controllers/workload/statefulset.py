"""
StatefulSet: keep one pod for each ordinal, with a name, a place in order and claims of its own.

Reads   StatefulSet, Pod, ControllerRevision (its own, and those that nobody controls), claims
Writes  Pod, ControllerRevision, PersistentVolumeClaim (create, owners), StatefulSet status
Again   when a pod may have become available after ``spec.minReadySeconds``

One step at a time: what a step changed comes back through the cache and asks for the next one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pilothouse.services.controllers.workload.stateful import claims, history, status, steps
from pilothouse.services.controllers.workload.stateful.claims import ClaimBirth, Ownership
from pilothouse.services.controllers.workload.stateful.history import Birth
from pilothouse.services.machinery import adoption, labels
from pilothouse.services.machinery.adoption import Claim
from pilothouse.services.machinery.errors import ApiError
from pilothouse.services.machinery.kinds import pods, statefulsets, volumes
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.kinds.revisions import ControllerRevision, History
from pilothouse.services.machinery.kinds.statefulsets import StatefulSet, StatefulSetStatus
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import DONE, Result
from pilothouse.services.runtime.control.patience import Patience

UNSEEN_SECONDS_MAX = 5.0


@dataclass(frozen=True, slots=True)
class Observed:
    """What there is in the namespace: its own, and what nobody controls; claims by name."""

    pods: Sequence[Pod] = ()
    revisions: Sequence[ControllerRevision] = ()
    claims: Mapping[str, volumes.Claim] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """``ended`` are among those to delete; ``rename`` lost the labels that say who they are."""

    history: History
    members: Claim[Pod]
    create: tuple[Birth, ...]
    delete: tuple[Pod, ...]
    ended: tuple[Pod, ...]
    rename: tuple[Pod, ...]
    claim: tuple[ClaimBirth, ...]
    own: tuple[Ownership, ...]
    status: StatefulSetStatus
    again_after: float | None


def plan(stateful: StatefulSet, seen: Observed, held: Mapping[str, float], now: float) -> Plan:
    """One step towards the wanted pods; one on its way out only tells how things are.

    ``held``: for how many seconds more an ended pod is to be left where it is, by its name.
    """
    selector = labels.compile_selector(stateful.spec.selector)
    past = history.past(stateful, selector, seen.revisions)
    ours = adoption.claimed(
        stateful.metadata,
        selector,
        seen.pods,
        lambda pod: statefulsets.ordinal_of(stateful, pod.metadata.name) is not None,
    )
    owned, spec, leaving = ours.owned, stateful.spec, stateful.metadata.deleting
    found = steps.members(stateful, owned)
    absent = [ordinal for ordinal, pod in found.slots if pod is None]
    pending = [ordinal for ordinal, pod in found.slots if pod and pod.status.phase == "Pending"]
    step = steps.Step()
    if not leaving:
        blocked = claims.blocked(stateful, absent, seen.claims)
        step = steps.Walk(stateful, found, past.update.name, held, now).next(blocked)
    needing = [] if leaving else sorted({*step.create, *pending})
    waits = [pods.available_in(pod, spec.min_ready_seconds, now) for pod in owned]
    return Plan(
        history=History(
            claim=past.claim,
            wanted=None if leaving else past.update,
            delete=() if leaving else past.outdated(spec.revision_history_limit, owned),
        ),
        members=ours,
        create=tuple(past.birth(stateful, ordinal) for ordinal in step.create),
        delete=step.delete,
        ended=step.ended,
        rename=() if leaving else tuple(pod for pod in owned if not _says_who(pod)),
        claim=tuple(claims.missing(stateful, needing, seen.claims)),
        own=() if leaving else tuple(claims.ownerships(stateful, owned, seen.claims)),
        status=status.counted(stateful, owned, past.current_name, past.update.name, now),
        again_after=min((wait for wait in (*waits, *held.values()) if wait), default=None),
    )


def _says_who(pod: Pod) -> bool:
    return pod.metadata.labels.get(statefulsets.POD_NAME) == pod.metadata.name


class Cluster(Protocol):
    """What this controller asks of the API."""

    def find(self, key: Key) -> StatefulSet | None: ...
    def observe(self, stateful: StatefulSet) -> Observed: ...
    def now(self) -> float: ...
    def settled(self, key: Key) -> bool:
        """Whether our own last writes for ``key`` have come back to us."""

    async def roll(self, stateful: StatefulSet, todo: Plan) -> ApiError | None:
        """Write all of the plan but the status; the first refusal."""

    async def write_status(self, stateful: StatefulSet, status: StatefulSetStatus) -> None: ...


class StatefulSetController:
    """Keeps each StatefulSet's pods."""

    name = "statefulset"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._patience = Patience()

    async def reconcile(self, key: Key) -> Result:
        stateful = self._cluster.find(key)
        if stateful is None:
            return DONE
        if not self._cluster.settled(key):
            return Result.unseen(UNSEEN_SECONDS_MAX)
        now = self._cluster.now()
        # A change of the spec is another trial.
        trial = (stateful.metadata.uid, stateful.status.observed_generation)
        held = self._patience.held(trial, now)
        todo = plan(stateful, self._cluster.observe(stateful), held, now)
        for pod in todo.ended:
            self._patience.failed(trial, pod.metadata.name, now)
        failure = await self._cluster.roll(stateful, todo)
        if todo.status != stateful.status:
            await self._cluster.write_status(stateful, todo.status)
        if failure is not None:
            raise failure
        return Result(again_after=todo.again_after)
