"""
Device taint rules: each says how many pods it drives away, or would if it did.

Reads   DeviceTaintRule, and what it taints: ResourceSlice, ResourceClaim, Pod
Writes  DeviceTaintRule (status, the condition EvictionInProgress)
Again   while pods have to go, and when the last word is too young to be taken back
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.kinds.devices import DeviceTaintRule, RuleCondition
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import DONE, Result

CONDITION = "EvictionInProgress"
STATUS_SECONDS = 10.0
"""A rule says something new at most this often."""
_LAST = (
    "if the effect was NoExecute. This information will not be updated again. "
    "Recreate the DeviceTaintRule to trigger an update."
)


@dataclass(frozen=True, slots=True)
class Reach:
    """What a rule touches: ``waiting`` are the namespaces of pods that would have to go."""

    published: int = 0
    allocated: int = 0
    waiting: Sequence[str] = ()
    evicted: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    condition: RuleCondition | None = None
    again_after: float | None = None


def said(rule: DeviceTaintRule) -> RuleCondition | None:
    """What it says, if that is of its present generation."""
    for item in rule.status.conditions:
        if item.type == CONDITION and item.observed_generation == rule.metadata.generation:
            return item
    return None


def plan(rule: DeviceTaintRule, reach: Reach, now: float) -> Plan:
    """``reach`` as it is at the moment, and for a rule without effect, as it would be."""
    old, effect = said(rule), rule.spec.taint.effect
    if old is not None and old.last_transition_time:
        left = timestamps.parse(old.last_transition_time) + STATUS_SECONDS - now
        if effect == "None":
            return Plan()
        if left > 0:
            return Plan(again_after=left)
    status, reason, words = "False", "OtherEffect", _other()
    if effect == "NoExecute":
        status, reason, words = _executing(reach)
    elif effect == "None":
        reason, words = "NoEffect", _without_effect(reach)
    if reach.evicted:
        words = [*words, f"{_many(reach.evicted, 'pod')} evicted since starting the controller."]
    message = " ".join(words)
    again = STATUS_SECONDS if status == "True" else None
    if old is not None and (old.status, old.reason, old.message) == (status, reason, message):
        return Plan(again_after=again)
    return Plan(
        RuleCondition(
            type=CONDITION,
            status=status,
            reason=reason,
            message=message,
            observed_generation=rule.metadata.generation,
            last_transition_time=timestamps.render(now),
        ),
        again,
    )


def _other() -> list[str]:
    return ["Eviction only happens for the NoExecute effect."]


def _executing(reach: Reach) -> tuple[str, str, list[str]]:
    if not reach.waiting:
        return "False", "Completed" if reach.evicted else "NotStarted", []
    count, verb = len(reach.waiting), "needs" if len(reach.waiting) == 1 else "need"
    where = _namespaces(reach.waiting)
    words = f"{_many(count, 'pod')} {verb} to be evicted in {where}."
    return "True", "PodsPendingEviction", [words]


def _without_effect(reach: Reach) -> list[str]:
    pods = f"{_many(len(reach.waiting), 'pod')} would be evicted in {_namespaces(reach.waiting)}"
    return [
        f"{_many(reach.published, 'published device')} selected.",
        f"{_many(reach.allocated, 'allocated device')} selected.",
        f"{pods} {_LAST}",
    ]


def _namespaces(waiting: Sequence[str]) -> str:
    count = len(set(waiting))
    return "1 namespace" if count == 1 else f"{count} different namespaces"


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


class Cluster(Protocol):
    """What this controller asks of the API."""

    def find(self, key: Key) -> DeviceTaintRule | None: ...
    def reach(self, rule: DeviceTaintRule) -> Reach: ...
    def now(self) -> float: ...
    async def write(self, rule: DeviceTaintRule, condition: RuleCondition) -> None: ...


class DeviceTaintRuleController:
    """Lets rules say what they do."""

    name = "device-taint-rule-status"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def reconcile(self, key: Key) -> Result:
        rule = self._cluster.find(key)
        if rule is None:
            return DONE
        todo = plan(rule, self._cluster.reach(rule), self._cluster.now())
        if todo.condition is not None:
            await self._cluster.write(rule, todo.condition)
        return Result(again_after=todo.again_after)
