"""Watch over the node's resources: tell of pressure, make room, and end pods when that is little.

Every ten seconds it looks at the node alone, which is cheap; at single pods only when one must go,
or has a limit of storage. At most one pod is evicted for the node's sake before it looks again.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pilothouse.services.kubelet.eviction import (
    messages,
    pressure,
    ranking,
    signals,
    storage,
    thresholds,
)
from pilothouse.services.kubelet.eviction.pressure import Pressure
from pilothouse.services.kubelet.eviction.ranking import Tenant
from pilothouse.services.kubelet.eviction.thresholds import Signals, Threshold
from pilothouse.services.kubelet.eviction.values import IMMEDIATE_SECONDS, Eviction
from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.kubelet.stats.values import NodeUsage, PodUsage, Usage
from pilothouse.services.machinery.errors import ApiError
from pilothouse.services.runtime import telemetry
from pilothouse.services.runtime.clock import Clock

LOOK_SECONDS = 10.0
CLEANUP_SECONDS = 30.0
CLEANUP_LOOK_SECONDS = 0.2
FRESH_SECONDS = 1.0


class Gauge(Protocol):
    """What can be measured without looking at every pod. Raises ApiError, OSError."""

    async def node(self) -> NodeUsage: ...
    async def bounded(self, pods: Sequence[Pod]) -> Sequence[PodUsage]:
        """What these keep on disks."""


class Usages(Protocol):
    """Everything."""

    async def everything(self, age_seconds: float) -> Usage: ...


class Worker(Protocol):
    """One pod."""

    pod: Pod

    @property
    def is_expected(self) -> bool: ...
    @property
    def is_evicted(self) -> bool: ...
    def evict(self, eviction: Eviction) -> None: ...


class Workers(Protocol):
    """All pods of the node."""

    def workers(self) -> Sequence[Worker]: ...


class Room(Protocol):
    """What can be thrown away before a pod must go."""

    async def make(self) -> None:
        """Delete dead containers and images that nobody uses. Raises ApiError."""


class Audience(Protocol):
    """Who is told."""

    def press(self, conditions: frozenset[str]) -> None:
        """These conditions hold from now on."""

    def note(self, reason: str, message: str) -> None:
        """A warning about the node."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What is configured; ``isolates``: limits of storage are enforced."""

    thresholds: tuple[Threshold, ...]
    transition_seconds: float
    grace_max_seconds: int
    isolates: bool = True
    kept_pids: int = 0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The outside of an :class:`Evictor`."""

    gauge: Gauge
    usages: Usages
    pods: Workers
    room: Room
    audience: Audience


class Evictor:
    """One node's."""

    def __init__(self, around: Surroundings, rules: Rules, clock: Clock) -> None:
        self._around = around
        self._rules = rules
        self._clock = clock
        self._pressure = Pressure()
        self._conditions = frozenset[str]()
        self._alarm = asyncio.Event()
        self._log = telemetry.logger(part="eviction")

    def alarm(self) -> None:
        """The kernel says that it is getting tight: look at once."""
        self._alarm.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._alarm.clear()
            try:
                again_at = await self.look()
            except (ApiError, OSError) as error:
                self._log.info("not measured", error=str(error))
                again_at = None
            await self._wait(again_at)

    async def _wait(self, until: float | None) -> None:
        left = LOOK_SECONDS
        if until is not None:
            left = min(max(until - self._clock.now(), CLEANUP_LOOK_SECONDS), LOOK_SECONDS)
        try:
            async with asyncio.timeout(left):
                await self._alarm.wait()
        except TimeoutError:
            return

    async def look(self) -> float | None:
        """One turn; when to look again, if before long."""
        observed = await self._observe()
        rules, now = self._rules, self._clock.now()
        plan = pressure.plan(
            self._pressure, rules.thresholds, observed, now, rules.transition_seconds
        )
        self._pressure = plan.pressure
        if plan.conditions != self._conditions:
            self._conditions = plan.conditions
            self._around.audience.press(plan.conditions)
        if rules.isolates and await self._bound():
            return now
        if plan.reclaim is None:
            return plan.again_at
        return now if await self._reclaim(plan.reclaim, observed) else plan.again_at

    async def _observe(self) -> Signals:
        return signals.observe(await self._around.gauge.node(), self._rules.kept_pids)

    def _candidates(self) -> list[Worker]:
        return [item for item in self._around.pods.workers()
                if item.is_expected and not item.is_evicted]  # fmt: skip

    async def _bound(self) -> bool:
        """End whoever keeps more than he may; whether anybody had to."""
        workers = [item for item in self._candidates() if storage.is_bounded(item.pod)]
        if not workers:
            return False
        found = await self._around.gauge.bounded([item.pod for item in workers])
        usage = {item.uid: item for item in found}
        gone = []
        for worker in workers:
            signal, why = storage.excess(Tenant(worker.pod, usage.get(worker.pod.uid)))
            if why and not ranking.is_critical(worker.pod):
                worker.evict(Eviction(messages.REASON, why, IMMEDIATE_SECONDS, "", signal))
                gone.append(worker)
        await self._cleared(gone)
        return bool(gone)

    async def _reclaim(self, threshold: Threshold, observed: Signals) -> bool:
        """Make room, or let one pod go; whether anything may be better now."""
        resource = thresholds.RESOURCE[threshold.signal]
        note = self._around.audience.note
        note("EvictionThresholdMet", f"Attempting to reclaim {resource}")
        if threshold.signal in thresholds.DISKS:
            await self._around.room.make()
            observed = await self._observe()
            if not any(
                item.signal in observed and item.is_met(observed[item.signal], reclaiming=True)
                for item in self._rules.thresholds
            ):
                return False
        usage = await self._around.usages.everything(FRESH_SECONDS)
        by_uid = {item.uid: item for item in usage.pods}
        workers = {item.pod.uid: item for item in self._candidates()}
        tenants = [Tenant(item.pod, by_uid.get(uid)) for uid, item in workers.items()]
        for tenant in ranking.rank(threshold.signal, tenants):
            if ranking.is_critical(tenant.pod):
                continue
            text = messages.low(tenant, threshold, observed[threshold.signal])
            worker = workers[tenant.pod.uid]
            grace = self._grace(threshold, tenant.pod)
            worker.evict(Eviction(messages.REASON, text, grace, signal=threshold.signal))
            self._log.info("evicted", pod=str(tenant.pod.metadata.key), why=text)
            await self._cleared([worker])
            return True
        return False

    def _grace(self, threshold: Threshold, pod: Pod) -> int:
        if threshold.is_hard:
            return IMMEDIATE_SECONDS
        own = pod.spec.termination_grace_period_seconds
        return min(self._rules.grace_max_seconds, own)

    async def _cleared(self, workers: Sequence[Worker]) -> None:
        """Until they have ended, or half a minute: what they had is free only then."""
        deadline = self._clock.monotonic() + CLEANUP_SECONDS
        while any(item.is_expected for item in workers):
            if self._clock.monotonic() >= deadline:
                return
            await self._clock.sleep(CLEANUP_LOOK_SECONDS)
