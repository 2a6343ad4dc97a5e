"""
Taint eviction: pods leave a node whose NoExecute taints they do not tolerate, or not for long.

Reads   Pod, Node (its NoExecute taints)
Writes  Pod (condition DisruptionTarget, delete)
Again   when ``tolerationSeconds`` of a pod run out
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pilothouse.services.machinery import conditions, timestamps
from pilothouse.services.machinery.kinds import pods
from pilothouse.services.machinery.kinds.nodes import Taint
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import DONE, Result


@dataclass(frozen=True, slots=True)
class Tainted:
    """A NoExecute taint and since when (seconds since the epoch) it counts."""

    taint: Taint
    since: float


@dataclass(frozen=True, slots=True)
class Plan:
    evict: bool
    again_after: float | None


def plan(pod: Pod, tainted: Sequence[Tainted], now: float) -> Plan:
    """``tainted``: the NoExecute taints of the pod's node."""
    if not tainted or pod.metadata.deleting:
        return Plan(evict=False, again_after=None)
    ends = [end for item in tainted if (end := _tolerated_until(pod, item)) is not None]
    if not ends:
        return Plan(evict=False, again_after=None)
    left = min(ends) - now
    return Plan(evict=left <= 0, again_after=left if left > 0 else None)


def _tolerated_until(pod: Pod, tainted: Tainted) -> float | None:
    """When the pod has to go because of this taint, by its first toleration that fits.

    None for never.
    """
    taint = tainted.taint
    tolerates = (
        toleration
        for toleration in pod.spec.tolerations
        if pods.tolerates(toleration, taint.key, taint.value, taint.effect)
    )
    first = next(tolerates, None)
    if first is None:
        return tainted.since
    if first.toleration_seconds is None:
        return None
    return max(tainted.since, _bound_at(pod)) + max(first.toleration_seconds, 0)


def _bound_at(pod: Pod) -> float:
    """When it came to its node: one that comes to a node long tainted has its full time too."""
    bound = conditions.find(pod.status.conditions, "PodScheduled")
    stamp = bound.last_transition_time if bound is not None and bound.status == "True" else None
    stamp = stamp or pod.metadata.creation_timestamp
    return timestamps.parse(stamp) if stamp else 0.0


class Cluster(Protocol):
    """What this controller asks of the API; keys are of pods."""

    def pod(self, key: Key) -> Pod | None: ...
    def tainted(self, pod: Pod) -> Sequence[Tainted]: ...
    def now(self) -> float: ...
    async def evict(self, pod: Pod) -> None: ...
    def note(self, key: Key, *, waits: bool) -> None:
        """Whether the pod is to go some time; people are told of one that may stay after all."""


class TaintEvictionController:
    """Takes pods off nodes they do not tolerate."""

    name = "taint-eviction"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def reconcile(self, key: Key) -> Result:
        pod = self._cluster.pod(key)
        if pod is None:
            self._cluster.note(key, waits=False)
            return DONE
        todo = plan(pod, self._cluster.tainted(pod), self._cluster.now())
        if todo.evict:
            await self._cluster.evict(pod)
        else:
            self._cluster.note(key, waits=todo.again_after is not None)
        return Result(again_after=todo.again_after)
