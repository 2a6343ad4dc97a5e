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
    if is_resized(deployment, new, olds):
        sizes = proportional(deployment, new, olds)
        if sizes:
            return sizes
    if deployment.spec.paused:
        return {}
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


def proportional(
    deployment: Deployment, new: ReplicaSet | None, olds: Sequence[ReplicaSet]
) -> Sizes:
    """``spec.replicas`` changed: share the difference out over all that have pods."""
    wanted = deployment.spec.replicas
    active = [item for item in _with(new, olds) if item.spec.replicas]
    if len(active) == 1:
        return {active[0].metadata.name: wanted}
    if new is not None and _is_saturated(new, deployment):
        return {item.metadata.name: 0 for item in olds if item.spec.replicas}
    if not is_rolling(deployment) or not active:
        return {}
    allowed = wanted + bounds(deployment).surge if wanted else 0
    to_add = allowed - sum(item.spec.replicas for item in active)
    largest = sorted(active, key=_size_and_youth, reverse=True)
    sizes: Sizes = {}
    left = to_add
    for item in largest:
        share = _fraction(item, deployment, allowed) if to_add else 0
        part = max(min(share, left), 0) if to_add > 0 else min(max(share, left), 0)
        sizes[item.metadata.name] = item.spec.replicas + part
        left -= part
    first = largest[0].metadata.name
    sizes[first] = max(sizes[first] + left, 0)
    return sizes


def _size_and_youth(replicaset: ReplicaSet) -> tuple[int, str]:
    return (replicaset.spec.replicas, replicaset.metadata.creation_timestamp or "")


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
