"""A Deployment's status: its numbers, and the conditions that ``kubectl rollout status`` reads."""

from collections.abc import Sequence

import msgspec

from pilothouse.services.controllers.workload.rollout import sizes
from pilothouse.services.machinery import conditions, timestamps
from pilothouse.services.machinery.conditions import Condition
from pilothouse.services.machinery.kinds import replicas
from pilothouse.services.machinery.kinds.workloads import (
    Deployment,
    DeploymentStatus,
    ReplicaSet,
)

NEVER_SECONDS = 2**31 - 1
COMPLETE = "NewReplicaSetAvailable"
TIMED_OUT = "ProgressDeadlineExceeded"
PAUSED = "DeploymentPaused"
REFUSED = "ReplicaSetCreateError"


def status(
    deployment: Deployment,
    new: ReplicaSet | None,
    owned: Sequence[ReplicaSet],
    created: str,
    now: float,
) -> DeploymentStatus:
    """All of it; ``created`` is the name of the ReplicaSet that this very step makes, if any."""
    told = with_availability(deployment, numbers(deployment, new, owned), now)
    told = with_failures(with_pause(deployment, told, now), new, owned)
    if deployment.spec.paused or deployment.metadata.deleting:
        return told
    if created:
        return with_new(told, created, now, created=True)
    if new is None:
        # Until all old pods have gone where they must not meet the new ones.
        return with_progress(deployment, told, f'Deployment "{deployment.metadata.name}"', now)
    told = with_new(told, new.metadata.name, now, created=False)
    return with_progress(deployment, told, f'ReplicaSet "{new.metadata.name}"', now)


def numbers(
    deployment: Deployment, new: ReplicaSet | None, owned: Sequence[ReplicaSet]
) -> DeploymentStatus:
    """What the ReplicaSets say, added up; conditions but for availability as they were."""
    available = sum(item.status.available_replicas for item in owned)
    return DeploymentStatus(
        replicas=sum(item.status.replicas for item in owned),
        updated_replicas=new.status.replicas if new is not None else 0,
        ready_replicas=sum(item.status.ready_replicas for item in owned),
        available_replicas=available,
        unavailable_replicas=max(sum(item.spec.replicas for item in owned) - available, 0),
        terminating_replicas=_terminating(owned),
        observed_generation=deployment.metadata.generation,
        collision_count=deployment.status.collision_count,
        conditions=deployment.status.conditions,
    )


def _terminating(owned: Sequence[ReplicaSet]) -> int | None:
    """None while some ReplicaSet has not counted yet."""
    counts = [item.status.terminating_replicas for item in owned]
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def with_availability(
    deployment: Deployment, status: DeploymentStatus, now: float
) -> DeploymentStatus:
    """Says whether the least number that a rollout keeps is there."""
    least = deployment.spec.replicas - sizes.bounds(deployment).unavailable
    enough = status.available_replicas >= least
    said = Condition(
        type="Available",
        status="True" if enough else "False",
        reason="MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable",
        message=f"Deployment {'has' if enough else 'does not have'} minimum availability.",
    )
    return _with(status, said, now)


def with_failures(
    status: DeploymentStatus, new: ReplicaSet | None, owned: Sequence[ReplicaSet]
) -> DeploymentStatus:
    """Passes on that a ReplicaSet can not make its pods, the new one's word first."""
    others = tuple(item for item in status.conditions if item.type != replicas.FAILURE)
    asked = [*([new] if new is not None else []), *owned]
    found = (conditions.find(item.status.conditions, replicas.FAILURE) for item in asked)
    failure = next((item for item in found if item is not None), None)
    if failure is None:
        return msgspec.structs.replace(status, conditions=others)
    said = msgspec.structs.replace(failure, last_update_time=failure.last_transition_time)
    return msgspec.structs.replace(status, conditions=(*others, said))


def with_pause(deployment: Deployment, status: DeploymentStatus, now: float) -> DeploymentStatus:
    """Says that the rollout was paused, or goes on."""
    progressing = conditions.find(status.conditions, "Progressing")
    reason = progressing.reason if progressing is not None else ""
    if deployment.spec.progress_deadline_seconds >= NEVER_SECONDS or reason == TIMED_OUT:
        return status
    if deployment.spec.paused and reason != PAUSED:
        said = _progressing("Unknown", PAUSED, "Deployment is paused")
    elif not deployment.spec.paused and reason == PAUSED:
        said = _progressing("Unknown", "DeploymentResumed", "Deployment is resumed")
    else:
        return status
    return _with(status, said, now)


def with_new(status: DeploymentStatus, name: str, now: float, *, created: bool) -> DeploymentStatus:
    """Says that the ReplicaSet of the present template is there, just made or met again."""
    if created:
        said = _progressing("True", "NewReplicaSetCreated", f'Created new replica set "{name}"')
    elif conditions.find(status.conditions, "Progressing") is None:
        said = _progressing("True", "FoundNewReplicaSet", f'Found new replica set "{name}"')
    else:
        return status
    return _with(status, said, now)


def with_refusal(deployment: Deployment, name: str, message: str, now: float) -> DeploymentStatus:
    """The status of before, saying why the ReplicaSet ``name`` could not be made."""
    if deployment.spec.progress_deadline_seconds >= NEVER_SECONDS:
        return deployment.status
    said = _progressing("False", REFUSED, refusal(name, message))
    return _with(deployment.status, said, now)


def refusal(name: str, message: str) -> str:
    """What a condition and an event say of it."""
    return f'Failed to create new replica set "{name}": {message}'


def with_progress(
    deployment: Deployment, status: DeploymentStatus, subject: str, now: float
) -> DeploymentStatus:
    """Says whether ``subject`` got further, has arrived, or has been stuck for too long."""
    known = conditions.find(status.conditions, "Progressing")
    if deployment.spec.progress_deadline_seconds >= NEVER_SECONDS:
        kept = tuple(item for item in status.conditions if item.type != "Progressing")
        return msgspec.structs.replace(status, conditions=kept)
    arrived = known is not None and known.reason == COMPLETE
    if arrived and status.replicas == status.updated_replicas:
        return status
    if is_complete(deployment, status):
        said = _progressing("True", COMPLETE, f"{subject} has successfully progressed.")
        return _with(status, said, now)
    if got_further(deployment.status, status):
        said = _progressing("True", "ReplicaSetUpdated", f"{subject} is progressing.")
        return _with(_forgetting_reason(status), said, now)
    left = seconds_left(deployment, status, now)
    if left is not None and left <= 0:
        said = _progressing("False", TIMED_OUT, f"{subject} has timed out progressing.")
        return _with(status, said, now)
    return status


def is_complete(deployment: Deployment, status: DeploymentStatus) -> bool:
    """Whether all that is wanted is new, available, and nothing old is left."""
    wanted = deployment.spec.replicas
    return (
        status.updated_replicas == wanted
        and status.replicas == wanted
        and status.available_replicas == wanted
        and status.observed_generation >= deployment.metadata.generation
    )


def got_further(old: DeploymentStatus, new: DeploymentStatus) -> bool:
    """Whether there are more new, ready or available pods, or fewer old ones."""
    return (
        new.updated_replicas > old.updated_replicas
        or new.replicas - new.updated_replicas < old.replicas - old.updated_replicas
        or new.ready_replicas > old.ready_replicas
        or new.available_replicas > old.available_replicas
    )


def seconds_left(deployment: Deployment, status: DeploymentStatus, now: float) -> float | None:
    """Until a rollout without progress counts as stuck; None while there is nothing to wait for."""
    known = conditions.find(status.conditions, "Progressing")
    if known is None or known.reason in {COMPLETE, TIMED_OUT, PAUSED}:
        return None
    if deployment.spec.progress_deadline_seconds >= NEVER_SECONDS or not known.last_update_time:
        return None
    since = timestamps.parse(known.last_update_time)
    return since + deployment.spec.progress_deadline_seconds - now


def _progressing(status: str, reason: str, message: str) -> Condition:
    return Condition(type="Progressing", status=status, reason=reason, message=message)


def _forgetting_reason(status: DeploymentStatus) -> DeploymentStatus:
    """Progress of the same kind moves the condition's update time too."""
    freed = tuple(
        msgspec.structs.replace(item, reason="") if item.type == "Progressing" else item
        for item in status.conditions
    )
    return msgspec.structs.replace(status, conditions=freed)


def _with(status: DeploymentStatus, said: Condition, now: float) -> DeploymentStatus:
    said_so = conditions.replaced(status.conditions, said, now)
    return msgspec.structs.replace(status, conditions=said_so)
