"""What a step of a rollout writes: a new ReplicaSet, and changes to those that are there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pilothouse.services.controllers.workload.rollout import revisions, sizes
from pilothouse.services.machinery.kinds.workloads import REVISION, Deployment, ReplicaSet


@dataclass(frozen=True, slots=True)
class Birth:
    """A ReplicaSet to create for the present template."""

    name: str
    template_hash: str
    replicas: int
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Change:
    """What one ReplicaSet shall say; ``annotations`` are only those that differ."""

    replicaset: ReplicaSet
    replicas: int
    min_ready_seconds: int
    annotations: Mapping[str, str]


def birth(deployment: Deployment, olds: Sequence[ReplicaSet], replicas: int) -> Birth:
    """The ReplicaSet of the present template, with this many pods at first."""
    ending = revisions.template_hash(deployment.spec.template, deployment.status.collision_count)
    annotations = revisions.annotations(deployment, None, olds) | _sized(deployment)
    return Birth(f"{deployment.metadata.name}-{ending}", ending, replicas, annotations)


def _sized(deployment: Deployment) -> dict[str, str]:
    wanted = deployment.spec.replicas
    allowed = wanted + sizes.bounds(deployment).surge
    return {revisions.DESIRED: str(wanted), revisions.MAXIMUM: str(allowed)}


def changes(
    deployment: Deployment, new: ReplicaSet | None, olds: Sequence[ReplicaSet], step: sizes.Sizes
) -> tuple[Change, ...]:
    """What differs from the sizes of ``step`` and from the annotations of now."""
    found = []
    for item in [*olds, *([new] if new is not None else [])]:
        name = item.metadata.name
        wanted = revisions.annotations(deployment, new, olds) if item is new else {}
        wanted |= _sized(deployment) if name in step else {}
        least = deployment.spec.min_ready_seconds if item is new else item.spec.min_ready_seconds
        change = Change(
            replicaset=item,
            replicas=step.get(name, item.spec.replicas),
            min_ready_seconds=least,
            annotations=revisions.differing(item.metadata.annotations, wanted),
        )
        same = (change.replicas, least) == (item.spec.replicas, item.spec.min_ready_seconds)
        if change.annotations or not same:
            found.append(change)
    return tuple(found)


def revision(new: ReplicaSet | None, create: Birth | None, change: Sequence[Change]) -> str:
    """The number that the Deployment itself shall bear; empty while it has none."""
    if create is not None:
        return create.annotations[REVISION]
    if new is None:
        return ""
    changed = next((item.annotations for item in change if item.replicaset is new), {})
    return changed.get(REVISION, new.metadata.annotations.get(REVISION, ""))
