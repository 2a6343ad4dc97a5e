"""
Device taints: pods leave devices whose NoExecute taints their claims do not tolerate, or not long.

Reads   Pod, ResourceClaim, ResourceSlice and DeviceTaintRule (their taints)
Writes  Pod (condition DisruptionTarget, delete)
Again   when ``tolerationSeconds`` of a claim run out
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from pilothouse.services.machinery.kinds import pods
from pilothouse.services.machinery.kinds.devices import Taint
from pilothouse.services.machinery.kinds.pods import Pod, Toleration
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import DONE, Reconciler, Result

EFFECT = "NoExecute"


@dataclass(frozen=True, slots=True)
class Tainted:
    """A NoExecute taint of a device that a pod uses; since when, and what the claim tolerates.

    ``rule`` is the uid of the DeviceTaintRule that it is of; empty for those of slices.
    """

    taint: Taint
    since: float
    tolerations: tuple[Toleration, ...]
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """``rules``: the uids of those that drive the pod away, now or later."""

    evict: bool = False
    again_after: float | None = None
    rules: frozenset[str] = frozenset()


STAYS = Plan()


def plan(pod: Pod, tainted: Iterable[Tainted], now: float) -> Plan:
    """``tainted``: of all devices in claims that are reserved for the pod."""
    if pod.metadata.deleting or not pod.spec.node_name:
        return STAYS
    ends = [(end, item.rule) for item in tainted if (end := tolerated_until(item)) is not None]
    if not ends:
        return STAYS
    left = min(end for end, _ in ends) - now
    rules = frozenset(rule for _, rule in ends if rule)
    return Plan(left <= 0, left if left > 0 else None, rules)


def tolerated_until(tainted: Tainted) -> float | None:
    """When who uses the device has to go because of this taint; None for never."""
    taint = tainted.taint
    matching = [
        item.toleration_seconds
        for item in tainted.tolerations
        if pods.tolerates(item, taint.key, taint.value, taint.effect)
    ]
    if None in matching:
        return None
    return tainted.since + max(min((s for s in matching if s is not None), default=0), 0)


class Cluster(Protocol):
    """What this controller asks of the API."""

    def pod(self, key: Key) -> Pod | None: ...
    def tainted(self, pod: Pod) -> Sequence[Tainted]: ...
    def now(self) -> float: ...
    async def evict(self, pod: Pod, rules: frozenset[str]) -> None: ...
    def note(self, key: Key, *, waits: bool) -> None:
        """Whether the pod is to go some time; people are told of one that may stay after all."""


class DeviceTaintEvictionController:
    """Takes pods off devices they do not tolerate; keys without a namespace are of rules."""

    name = "device-taint-eviction"

    def __init__(self, cluster: Cluster, rules: Reconciler) -> None:
        self._cluster = cluster
        self._rules = rules

    async def reconcile(self, key: Key) -> Result:
        if not key.namespace:
            return await self._rules.reconcile(key)
        pod = self._cluster.pod(key)
        if pod is None:
            self._cluster.note(key, waits=False)
            return DONE
        todo = plan(pod, self._cluster.tainted(pod), self._cluster.now())
        if todo.evict:
            await self._cluster.evict(pod, todo.rules)
        else:
            self._cluster.note(key, waits=todo.again_after is not None)
        return Result(again_after=todo.again_after)
