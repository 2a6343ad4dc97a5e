"""
HorizontalPodAutoscaler: as many replicas as its metrics ask for, no faster than it allows.

Reads   HorizontalPodAutoscaler, the scale of its target, the target's Pods, metrics
Writes  the target's scale, HorizontalPodAutoscaler status
Again   every sync period: metrics change without being told

The numbers are in :mod:`…autoscaling.sizes`.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from msgspec import structs

from pilothouse.services.controllers.autoscaling.sizes import (
    choice,
    proposals,
    rates,
    target,
    verdict,
)
from pilothouse.services.controllers.autoscaling.sizes.choice import Choice
from pilothouse.services.controllers.autoscaling.sizes.proposals import Reading
from pilothouse.services.controllers.autoscaling.sizes.rates import History, Told
from pilothouse.services.controllers.autoscaling.sizes.target import Found
from pilothouse.services.controllers.autoscaling.sizes.verdict import Note, Past, Plan
from pilothouse.services.machinery.errors import ApiError
from pilothouse.services.machinery.kinds import autoscaling
from pilothouse.services.machinery.kinds.autoscaling import HorizontalPodAutoscaler, Scale, Status
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import DONE, Result


def plan(
    autoscaler: HorizontalPodAutoscaler, found: Found, readings: Sequence[Reading], past: Past
) -> Plan:
    """``readings``: of each metric, in order; none where the target itself decides."""
    status, scale, now = autoscaler.status, found.scale, past.now
    if scale is None:
        text = f"the HPA controller was unable to get the target's current scale: {found.error}"
        status = verdict.say(status, verdict.ABLE, Told(False, "FailedGetScale", text), now)
        note = verdict.warning("FailedGetScale", found.error)
        return Plan(status, notes=(note,), history=past.history)
    text = "the HPA controller was able to get the target's current scale"
    status = verdict.say(status, verdict.ABLE, Told(True, "SucceededGetScale", text), now)
    current = scale.spec.replicas
    past = replace(past, history=rates.begun(past.history, current, now))
    bound = target.bound(autoscaler, scale)
    if bound is not None:
        if not bound.why:
            text = "scaling is disabled since the replica count of the target is zero"
            status = verdict.say(status, verdict.ACTIVE, Told(False, "ScalingDisabled", text), now)
        draft = Plan(
            structs.replace(status, current_metrics=None), bound.replicas, bound.why,
            history=past.history,
        )  # fmt: skip
        return verdict.settle(autoscaler, current, draft, past)
    unfit = target.unfit(scale, found)
    if unfit is not None:
        told = Told(False, unfit.reason, unfit.message)
        status = verdict.say(verdict.counted(status, current), verdict.ACTIVE, told, now)
        reasons = (unfit.event_reason, "FailedComputeMetricsReplicas")
        notes = tuple(verdict.warning(reason, unfit.error) for reason in reasons)
        return Plan(status, notes=notes, history=past.history)
    chosen = _choose(autoscaler, found, scale, readings, past)
    return _apply(autoscaler, chosen, current, status, past)


def _choose(
    autoscaler: HorizontalPodAutoscaler,
    found: Found,
    scale: Scale,
    readings: Sequence[Reading],
    past: Past,
) -> Choice:
    spec, settings = autoscaler.spec, past.settings
    behind = proposals.Target(
        scale.spec.replicas, scale.status.replicas, found.pods, autoscaler.metadata.namespace
    )
    tolerances = proposals.tolerances_of(spec.behavior, settings.tolerance)
    how = proposals.Rates(tolerances, settings.periods, past.now)
    metrics = spec.metrics or ()
    answers = [
        proposals.propose(metric, reading, behind, how)
        for metric, reading in zip(metrics, readings, strict=True)
    ]
    return choice.choose(metrics, answers, scale.spec.replicas)


def _apply(
    autoscaler: HorizontalPodAutoscaler, chosen: Choice, current: int, status: Status, past: Past
) -> Plan:
    now, spec = past.now, autoscaler.spec
    notes = [verdict.warning(failure.reason, failure.cause) for failure in chosen.failures]
    if chosen.replicas is None:
        first = chosen.failures[0] if chosen.failures else None
        if first is not None:
            told = Told(False, first.reason, first.message)
            status = verdict.say(status, verdict.ACTIVE, told, now)
        notes.append(verdict.warning("FailedComputeMetricsReplicas", chosen.error))
        status = verdict.counted(status, current, chosen.statuses)
        return Plan(status, notes=tuple(notes), history=past.history)
    text = f"the HPA was able to successfully calculate a replica count from {chosen.name}"
    status = verdict.say(status, verdict.ACTIVE, Told(True, "ValidMetricFound", text), now)
    status = structs.replace(status, current_metrics=chosen.statuses or None)
    above = chosen.replicas > current
    why = f"{chosen.name} above target" if above else "All metrics below target"
    bounds = rates.Bounds(
        autoscaling.least(autoscaler), spec.max_replicas, past.settings.downscale_stabilization
    )
    normal = rates.normalize(past.history, current, chosen.replicas, bounds, spec.behavior, now)
    status = verdict.say(status, verdict.ABLE, normal.able, now)
    status = verdict.say(status, verdict.LIMITED, normal.limited, now)
    draft = Plan(status, normal.replicas, why, tuple(notes), normal.history)
    return verdict.settle(autoscaler, current, draft, past)


class Cluster(Protocol):
    """What this controller asks of the API."""

    def find(self, key: Key) -> HorizontalPodAutoscaler | None: ...
    async def target(self, autoscaler: HorizontalPodAutoscaler) -> Found: ...
    async def read(self, autoscaler: HorizontalPodAutoscaler, scale: Scale) -> Sequence[Reading]:
        """Every metric of it, in order; one that cannot be read says why."""

    def past(self, key: Key) -> Past: ...
    def remember(self, key: Key, history: History) -> None: ...
    async def rescale(self, autoscaler: HorizontalPodAutoscaler, todo: Plan) -> ApiError | None:
        """Set the target's replicas; the refusal."""

    async def write(
        self, autoscaler: HorizontalPodAutoscaler, status: Status, notes: Sequence[Note]
    ) -> None:
        """The status where it is another, and events."""


class HorizontalPodAutoscalerController:
    """Keeps each target at the size that its metrics ask for."""

    name = "horizontal-pod-autoscaler"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def reconcile(self, key: Key) -> Result:
        autoscaler = self._cluster.find(key)
        if autoscaler is None or autoscaler.metadata.deleting:
            return DONE
        found = await self._cluster.target(autoscaler)
        readings: Sequence[Reading] = ()
        if found.scale is not None and target.is_measured(autoscaler, found.scale, found):
            readings = await self._cluster.read(autoscaler, found.scale)
        past = self._cluster.past(key)
        todo = plan(autoscaler, found, readings, past)
        if todo.replicas is not None:
            failure = await self._cluster.rescale(autoscaler, todo)
            if failure is not None:
                todo = verdict.refused(autoscaler, todo, failure.message, past)
        self._cluster.remember(key, todo.history)
        await self._cluster.write(autoscaler, todo.status, todo.notes)
        return Result(again_after=past.settings.sync_period)
