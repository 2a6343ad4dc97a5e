"""How many pods each ReplicaSet of a Deployment shall have next.

Two bounds hold in every step: never more than ``replicas + surge`` pods in all, and no step takes
an available pod away that would leave fewer than ``replicas - unavailable``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from typing import TypeAlias

from pilothouse.services.controllers.workload.rollout import revisions
from pilothouse.services.machinery.kinds.workloads import Deployment, ReplicaSet, RollingUpdate

PERCENT = 100

Sizes: TypeAlias = dict[str, int]
"""Numbers of pods by the ReplicaSet's name; those not named stay as they are."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Pods beyond and below ``spec.replicas`` that a rollout may have for a while."""

    surge: int
    unavailable: int


def is_rolling(deployment: Deployment) -> bool:
    return deployment.spec.strategy.type == "RollingUpdate"


def bounds(deployment: Deployment) -> Bounds:
    """Percentages of ``spec.replicas``, surge rounded up and unavailable down, never both zero."""
    wanted = deployment.spec.replicas
    if not is_rolling(deployment):
        return Bounds(0, 0)
    rolling = deployment.spec.strategy.rolling_update or RollingUpdate()
    surge = ceil(_share(rolling.max_surge, wanted))
    unavailable = floor(_share(rolling.max_unavailable, wanted))
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return Bounds(surge, min(unavailable, wanted))


def _share(amount: int | str, of: int) -> Fraction:
    if isinstance(amount, str) and amount.endswith("%"):
        return Fraction(int(amount[:-1]) * of, PERCENT)
    return Fraction(int(amount))


def next_sizes(
    deployment: Deployment,
    new: ReplicaSet | None,
    olds: Sequence[ReplicaSet],
    *,
    old_pods_run: bool,
) -> Sizes:
    """One step; the new ReplicaSet, where it is yet to be made, goes by the empty name."""
    if deployment.spec.paused:
        return resized(deployment, new, olds)
    if is_resized(deployment, new, olds):
        sizes = resized(deployment, new, olds)
        if sizes:
            return sizes
    if is_rolling(deployment):
        return rolling(deployment, new, olds)
    return recreating(deployment, new, olds, old_pods_run=old_pods_run)


def is_resized(deployment: Deployment, new: ReplicaSet | None, olds: Sequence[ReplicaSet]) -> bool:
    """Whether ``spec.replicas`` changed since some ReplicaSet was last sized."""
    wanted = deployment.spec.replicas
    return any(
        revisions.desired(item) not in {None, wanted}
        for item in _with(new, olds)
        if item.spec.replicas
    )


def recreating(
    deployment: Deployment,
    new: ReplicaSet | None,
    olds: Sequence[ReplicaSet],
    *,
    old_pods_run: bool,
) -> Sizes:
    """All old pods go before the first new one comes."""
    running = {item.metadata.name: 0 for item in olds if item.spec.replicas}
    if running or old_pods_run:
        return running
    if new is None:
        return {"": deployment.spec.replicas}
    if new.spec.replicas == deployment.spec.replicas:
        return {}
    return {new.metadata.name: deployment.spec.replicas}


def rolling(deployment: Deployment, new: ReplicaSet | None, olds: Sequence[ReplicaSet]) -> Sizes:
    """New pods as far as the surge goes; if there is nothing to add, old ones as may be spared."""
    wanted = deployment.spec.replicas
    limit = bounds(deployment)
    total = sum(item.spec.replicas for item in _with(new, olds))
    present = new.spec.replicas if new is not None else 0
    room = max(wanted + limit.surge - total, 0)
    grown = wanted if present > wanted else present + min(room, wanted - present)
    if new is None:
        return {"": grown}
    if grown != present:
        return {new.metadata.name: grown}
    return _shrunk(olds, new, wanted - limit.unavailable)


def _shrunk(olds: Sequence[ReplicaSet], new: ReplicaSet, available_min: int) -> Sizes:
    """Old pods that serve nobody go first, then serving ones, oldest ReplicaSet first."""
    total = sum(item.spec.replicas for item in _with(new, olds))
    unready_new = new.spec.replicas - _available(new)
    spare = total - available_min - unready_new
    sizes: Sizes = {}
    for item in olds:
        unready = min(item.spec.replicas - _available(item), spare)
        if unready > 0:
            sizes[item.metadata.name] = item.spec.replicas - unready
            spare -= unready
    serving = sum(_available(item) for item in _with(new, olds)) - available_min
    for item in olds:
        size = sizes.get(item.metadata.name, item.spec.replicas)
        taken = min(size, _available(item), serving, spare)
        if taken > 0:
            sizes[item.metadata.name] = size - taken
            serving -= taken
            spare -= taken
    return sizes


def _available(replicaset: ReplicaSet) -> int:
    """What serves for certain: a status from before the last scaling may still say more."""
    return min(replicaset.status.available_replicas, replicaset.spec.replicas)


def resized(deployment: Deployment, new: ReplicaSet | None, olds: Sequence[ReplicaSet]) -> Sizes:
    """What ``spec.replicas`` asks for, without a step of the rollout: as it goes while paused."""
    wanted = deployment.spec.replicas
    active = [item for item in _with(new, olds) if item.spec.replicas]
    if len(active) <= 1:
        # With none, all have been sized to nothing: the latest grows again.
        latest = active[0] if active else new or max(olds, key=_age, default=None)
        return {latest.metadata.name: wanted} if latest is not None else {}
    if new is not None and _is_saturated(new, deployment):
        return {item.metadata.name: 0 for item in olds if item.spec.replicas}
    return proportional(deployment, active) if is_rolling(deployment) else {}


def proportional(deployment: Deployment, active: Sequence[ReplicaSet]) -> Sizes:
    """Share out what is missing or too much over all that have pods."""
    wanted = deployment.spec.replicas
    allowed = wanted + bounds(deployment).surge if wanted else 0
    left = to_add = allowed - sum(item.spec.replicas for item in active)
    # The largest first; of two of a size the newer grows first, and the older shrinks first.
    by_age = sorted(active, key=_age, reverse=to_add > 0)
    sizes: Sizes = {}
    for item in sorted(by_age, key=lambda item: -item.spec.replicas):
        share = _fraction(item, deployment, allowed) if to_add else 0
        part = max(min(share, left), 0) if to_add > 0 else min(max(share, left), 0)
        sizes[item.metadata.name] = item.spec.replicas + part
        left -= part
    largest = next(iter(sizes))
    sizes[largest] = max(sizes[largest] + left, 0)
    return sizes


def _age(replicaset: ReplicaSet) -> tuple[str, str]:
    return (replicaset.metadata.creation_timestamp or "", replicaset.metadata.name)


def _fraction(replicaset: ReplicaSet, deployment: Deployment, allowed: int) -> int:
    """By how much it grows or shrinks, keeping its share of the whole."""
    before = revisions.maximum(replicaset) or deployment.status.replicas
    if deployment.spec.replicas == 0 or before == 0:
        return -replicaset.spec.replicas
    # A half counts up: round() would take the even neighbour.
    share = floor(Fraction(replicaset.spec.replicas * allowed, before) + Fraction(1, 2))
    return share - replicaset.spec.replicas


def _is_saturated(new: ReplicaSet, deployment: Deployment) -> bool:
    wanted = deployment.spec.replicas
    return (
        new.spec.replicas == wanted
        and revisions.desired(new) == wanted
        and new.status.available_replicas == wanted
    )


def _with(new: ReplicaSet | None, olds: Sequence[ReplicaSet]) -> list[ReplicaSet]:
    return [*olds, new] if new is not None else list(olds)
