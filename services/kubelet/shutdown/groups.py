"""Which pods end together when the machine goes down, and how long they have. Pure."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pilothouse.services.kubelet.configuration.fields import KubeletConfiguration
from pilothouse.services.kubelet.eviction.values import Eviction
from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.kubelet.resources.admission import Rejection

CRITICAL = 2_000_000_000
REASON = "Terminated"
MESSAGE = "Pod was terminated in response to imminent node shutdown."
NODE_PROBLEM = "node is shutting down"
REJECTION = Rejection(
    "NodeShutdown", "Pod was rejected: Pod was rejected as the node is shutting down."
)


@dataclass(frozen=True, slots=True)
class Grace:
    """Pods of this priority and above, up to the next grace, have so many seconds."""

    priority: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Group:
    """Pods that end side by side."""

    grace: Grace
    pods: tuple[Pod, ...]


def graces(said: KubeletConfiguration) -> list[Grace]:
    """In the order in which they pass; none when the machine is not to wait."""
    found = [
        Grace(item.priority, float(item.shutdown_grace_period_seconds))
        for item in said.shutdown_grace_period_by_pod_priority
    ]
    whole, critical = said.shutdown_grace_period, said.shutdown_grace_period_critical_pods
    if not found and whole > 0 and whole >= critical:
        found = [Grace(0, whole - critical), Grace(CRITICAL, critical)]
    return sorted(found, key=lambda item: item.priority)


def together(found: Iterable[Grace]) -> float:
    """How long the machine has to wait, in seconds."""
    return sum(item.seconds for item in found)


def groups(found: Sequence[Grace], pods: Iterable[Pod]) -> list[Group]:
    """All pods by their grace, in order; a priority below all counts as the lowest."""
    priorities = [item.priority for item in found]
    sorted_: list[list[Pod]] = [[] for _ in found]
    for pod in pods:
        sorted_[max(bisect_right(priorities, pod.spec.priority) - 1, 0)].append(pod)
    return [Group(grace, tuple(each)) for grace, each in zip(found, sorted_, strict=True) if each]


def ending(pod: Pod, grace: Grace) -> Eviction:
    """The pod ends within its own grace, or that of its group if that is less."""
    seconds = min(pod.spec.termination_grace_period_seconds, int(grace.seconds))
    return Eviction(REASON, MESSAGE, seconds)
