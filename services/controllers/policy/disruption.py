"""
PodDisruptionBudget: tell how many of its pods may be evicted now.

Reads   PodDisruptionBudget, Pod (those it selects), the scale of whatever controls these pods
Writes  PodDisruptionBudget status
Again   when an eviction that was allowed counts no longer, though its pod is still there
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pilothouse.services.machinery import conditions
from pilothouse.services.machinery.conditions import Condition
from pilothouse.services.machinery.kinds import policy
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.kinds.policy import Budget, BudgetStatus
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import DONE, Result

SUFFICIENT, INSUFFICIENT, FAILED = "SufficientPods", "InsufficientPods", "SyncFailed"


@dataclass(frozen=True, slots=True)
class Unknown:
    """How many pods there should be can not be told, and why."""

    error: str


@dataclass(frozen=True, slots=True)
class Note:
    """An event: about the budget, or about ``pod``."""

    type: str
    reason: str
    message: str
    pod: Pod | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The status to write, what people are told, and when to look again."""

    status: BudgetStatus
    notes: tuple[Note, ...] = ()
    again_after: float | None = None


NOBODY = Note("Normal", "NoPods", "No matching pods found")


def plan(
    budget: Budget, found: Sequence[Pod], replicas: Mapping[str, int] | Unknown, now: float
) -> Plan:
    """``replicas`` by controller, as far as they matter."""
    notes = () if found else (NOBODY,)
    if isinstance(replicas, Unknown):
        text = f"Failed to calculate the number of expected pods: {replicas.error}"
        failed = Note("Warning", "CalculateExpectedPodCountFailed", text)
        return Plan(_failed(budget, replicas.error, now), (*notes, failed))
    disrupted, again = policy.still_disrupted(budget, found, now)
    count, desired = policy.expected(budget, found, replicas)
    healthy = policy.healthy(found, disrupted)
    allowed = max(healthy - desired, 0) if count > 0 else 0
    status = BudgetStatus(
        observed_generation=budget.metadata.generation,
        disrupted_pods=disrupted,
        disruptions_allowed=allowed,
        current_healthy=healthy,
        desired_healthy=desired,
        expected_pods=count,
        conditions=_told(budget, SUFFICIENT if allowed else INSUFFICIENT, "", now),
    )
    stayed = policy.overdue(budget, found, now)
    return Plan(status, (*notes, *(_not_deleted(budget, pod) for pod in stayed)), again)


def _failed(budget: Budget, error: str, now: float) -> BudgetStatus:
    """Nobody may be evicted while nobody knows how many pods there should be."""
    old = budget.status
    return BudgetStatus(
        observed_generation=old.observed_generation,
        disrupted_pods=old.disrupted_pods,
        current_healthy=old.current_healthy,
        desired_healthy=old.desired_healthy,
        expected_pods=old.expected_pods,
        conditions=_told(budget, FAILED, error, now),
    )


def _not_deleted(budget: Budget, pod: Pod) -> Note:
    text = f"Pod was expected by PDB {budget.metadata.key} to be deleted but it wasn't"
    return Note("Warning", "NotDeleted", text, pod)


def _told(budget: Budget, reason: str, message: str, now: float) -> tuple[Condition, ...]:
    status = "True" if reason == SUFFICIENT else "False"
    told = Condition(type=policy.ALLOWED, status=status, reason=reason, message=message)
    return tuple(
        Condition(
            type=item.type,
            status=item.status,
            reason=item.reason,
            message=item.message,
            last_transition_time=item.last_transition_time,
        )
        for item in conditions.replaced(budget.status.conditions, told, now)
    )


class Cluster(Protocol):
    """What this controller asks of the API."""

    def budget(self, key: Key) -> Budget | None: ...
    def pods(self, budget: Budget) -> Sequence[Pod]: ...
    async def replicas(self, found: Sequence[Pod]) -> Mapping[str, int] | Unknown:
        """What each controller of these pods wants, by its uid."""

    def now(self) -> float: ...
    def tell(self, budget: Budget, notes: Sequence[Note]) -> None: ...

    async def write_status(self, budget: Budget, status: BudgetStatus) -> None:
        """Unless somebody, an eviction first of all, wrote in between: Conflict."""


class DisruptionController:
    """Keeps the status of each budget true."""

    name = "disruption"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def reconcile(self, key: Key) -> Result:
        budget = self._cluster.budget(key)
        if budget is None:
            return DONE
        found = self._cluster.pods(budget)
        asked = found if policy.asks_controllers(budget) else ()
        replicas = await self._cluster.replicas(asked)
        todo = plan(budget, found, replicas, self._cluster.now())
        self._cluster.tell(budget, todo.notes)
        if todo.status != budget.status:
            await self._cluster.write_status(budget, todo.status)
        return Result(again_after=todo.again_after)
