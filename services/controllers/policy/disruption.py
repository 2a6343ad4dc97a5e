"""
PodDisruptionBudget: tell how many of its pods may be evicted now.

Reads   PodDisruptionBudget, Pod (those it selects), the controllers of these pods
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
class Plan:
    """The status to write, and when to look again."""

    status: BudgetStatus
    again_after: float | None = None


def plan(
    budget: Budget, found: Sequence[Pod], replicas: Mapping[str, int] | None, now: float
) -> Plan:
    """``replicas`` by controller; None where a controller that counts can not be found."""
    if replicas is None:
        return Plan(_failed(budget, now))
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
    return Plan(status, again)


def _failed(budget: Budget, now: float) -> BudgetStatus:
    """Nobody may be evicted while nobody knows how many pods there should be."""
    old = budget.status
    return BudgetStatus(
        observed_generation=budget.metadata.generation,
        disrupted_pods=old.disrupted_pods,
        current_healthy=old.current_healthy,
        desired_healthy=old.desired_healthy,
        expected_pods=old.expected_pods,
        conditions=_told(budget, FAILED, "found no controllers for some of the pods", now),
    )


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
    def replicas(self, found: Sequence[Pod]) -> Mapping[str, int] | None: ...
    def now(self) -> float: ...

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
        todo = plan(budget, found, self._cluster.replicas(found), self._cluster.now())
        if todo.status != budget.status:
            await self._cluster.write_status(budget, todo.status)
        return Result(again_after=todo.again_after)
