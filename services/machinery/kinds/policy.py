"""Facts about PodDisruptionBudgets: how many pods must stay healthy, and who counts as one."""

from collections.abc import Mapping, Sequence

from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.conditions import Condition
from pilothouse.services.machinery.kinds import pods
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.labels import LabelSelector
from pilothouse.services.machinery.objects import Metadata, View

DISRUPTION_SECONDS_MAX = 120.0
"""For so long an eviction that was allowed counts as a pod gone, though it is still there."""

ALLOWED = "DisruptionAllowed"


class BudgetSpec(View, frozen=True, kw_only=True):
    min_available: int | str | None = None
    max_unavailable: int | str | None = None
    selector: LabelSelector | None = None
    unhealthy_pod_eviction_policy: str = ""


class BudgetStatus(View, frozen=True, kw_only=True):
    observed_generation: int = 0
    disrupted_pods: dict[str, str] = {}
    disruptions_allowed: int = 0
    current_healthy: int = 0
    desired_healthy: int = 0
    expected_pods: int = 0
    conditions: tuple[Condition, ...] = ()


class Budget(View, frozen=True, kw_only=True):
    """A PodDisruptionBudget."""

    metadata: Metadata = Metadata()
    spec: BudgetSpec = BudgetSpec()
    status: BudgetStatus = BudgetStatus()


def asks_controllers(budget: Budget) -> bool:
    """Whether it matters how many pods their controllers want: a plain least number says all."""
    spec = budget.spec
    return spec.max_unavailable is not None or isinstance(spec.min_available, str)


def expected(budget: Budget, found: Sequence[Pod], replicas: Mapping[str, int]) -> tuple[int, int]:
    """How many pods there should be, and how many of them healthy.

    ``replicas`` is what each controller of these pods wants, by uid; pods that nobody controls
    are in nobody's number.
    """
    together = sum(replicas.values())
    most, least = budget.spec.max_unavailable, budget.spec.min_available
    if most is not None:
        return together, max(together - _portion(most, together), 0)
    if isinstance(least, str) and least.endswith("%"):
        return together, _portion(least, together)
    return len(found), _portion(least or 0, len(found))


def still_disrupted(
    budget: Budget, found: Sequence[Pod], now: float
) -> tuple[dict[str, str], float | None]:
    """Evictions that were allowed and not yet seen, and when to look at them again."""
    kept: dict[str, str] = {}
    again: list[float] = []
    for pod in _awaited(budget, found):
        since = budget.status.disrupted_pods[pod.metadata.name]
        left = timestamps.parse(since) + DISRUPTION_SECONDS_MAX - now
        if left > 0:
            kept[pod.metadata.name] = since
            again.append(left)
    return kept, min(again, default=None)


def overdue(budget: Budget, found: Sequence[Pod], now: float) -> list[Pod]:
    """Pods that stayed, though they were to go and had all the time for it."""
    kept, _ = still_disrupted(budget, found, now)
    return [pod for pod in _awaited(budget, found) if pod.metadata.name not in kept]


def _awaited(budget: Budget, found: Sequence[Pod]) -> list[Pod]:
    asked = budget.status.disrupted_pods
    return [pod for pod in found if pod.metadata.name in asked and not pod.metadata.deleting]


def healthy(found: Sequence[Pod], disrupted: Mapping[str, str]) -> int:
    """How many of these pods are ready and staying."""
    return sum(
        pods.is_ready(pod) and not pod.metadata.deleting and pod.metadata.name not in disrupted
        for pod in found
    )


def _portion(wanted: int | str, total: int) -> int:
    """A number, or so many per cent of ``total``, rounded up."""
    if isinstance(wanted, int):
        return wanted
    return -(-total * int(wanted.removesuffix("%")) // 100)
