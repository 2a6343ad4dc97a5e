"""Facts about kinds that keep a number of pods: ReplicaSet and ReplicationController.

Both promise the same; what differs is only how they spell their selector.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.conditions import Condition, find
from pilothouse.services.machinery.errors import ApiError
from pilothouse.services.machinery.kinds import pods
from pilothouse.services.machinery.kinds.pods import Pod, PodTemplate
from pilothouse.services.machinery.kinds.workloads import ReplicaStatus
from pilothouse.services.machinery.labels import Selector
from pilothouse.services.machinery.objects import Metadata, controller_of

BURST_MAX = 500
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
FAILURE = "ReplicaFailure"

_PHASE_RANK = {"Pending": 0, "Unknown": 1, "Running": 2}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an object asks for, whichever of the two kinds it is."""

    metadata: Metadata
    replicas: int
    min_ready_seconds: int
    selector: Selector | None
    template: PodTemplate
    status: ReplicaStatus


@dataclass(frozen=True, slots=True)
class Claim:
    """Whose pods are whose: ``owned`` counts, ``adopt`` is a part of it, ``release`` is not."""

    owned: tuple[Pod, ...]
    adopt: tuple[Pod, ...]
    release: tuple[Pod, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """One step towards the wanted number, and the status that is true now."""

    adopt: tuple[Pod, ...]
    release: tuple[Pod, ...]
    create: int
    delete: tuple[Pod, ...]
    status: ReplicaStatus
    again_after: float | None


def plan(wanted: Wanted, near: Sequence[Pod], now: float, beside: Sequence[Pod] = ()) -> Plan:
    """``near`` are pods of the namespace that it controls or that nobody controls.

    ``beside`` are those of its siblings under the same controller: they crowd nodes as well.
    """
    claim = claimed(wanted.metadata, wanted.selector, near)
    missing = wanted.replicas - len(claim.owned)
    waits = [pods.available_in(pod, wanted.min_ready_seconds, now) for pod in claim.owned]
    status = ReplicaStatus(
        replicas=len(claim.owned),
        fully_labeled_replicas=sum(
            wanted.template.metadata.labels.items() <= pod.metadata.labels.items()
            for pod in claim.owned
        ),
        ready_replicas=sum(pods.is_ready(pod) for pod in claim.owned),
        available_replicas=sum(wait == 0 for wait in waits),
        observed_generation=wanted.metadata.generation,
        conditions=wanted.status.conditions,
    )
    leaving = wanted.metadata.deleting
    return Plan(
        adopt=claim.adopt,
        release=claim.release,
        create=0 if leaving else min(max(missing, 0), BURST_MAX),
        delete=() if leaving else surplus(claim.owned, min(-missing, BURST_MAX), beside),
        status=status,
        again_after=min((wait for wait in waits if wait), default=None),
    )


def claimed(owner: Metadata, selector: Selector | None, near: Iterable[Pod]) -> Claim:
    """Sort active pods by name; an owner on its way out neither takes nor gives."""
    owned: list[Pod] = []
    adopt: list[Pod] = []
    release: list[Pod] = []
    for pod in sorted(near, key=lambda pod: pod.metadata.name):
        if not pods.is_active(pod):
            continue
        matches = selector is not None and selector.matches(pod.metadata.labels)
        controller = controller_of(pod.metadata)
        if controller is not None and controller.uid == owner.uid:
            if matches:
                owned.append(pod)
            elif not owner.deleting:
                release.append(pod)
        elif controller is None and matches and not owner.deleting:
            owned.append(pod)
            adopt.append(pod)
    return Claim(tuple(owned), tuple(adopt), tuple(release))


def terminating(owner: Metadata, selector: Selector | None, near: Iterable[Pod]) -> int:
    """How many of its pods are on their way out and still run."""
    return sum(
        pod.metadata.deleting
        and not pods.is_terminal(pod)
        and selector is not None
        and selector.matches(pod.metadata.labels)
        and (controller := controller_of(pod.metadata)) is not None
        and controller.uid == owner.uid
        for pod in near
    )


def surplus(owned: Sequence[Pod], count: int, beside: Sequence[Pod] = ()) -> tuple[Pod, ...]:
    """The ``count`` pods whose loss costs least, that one first."""
    if count <= 0:
        return ()
    crowd = Counter(pod.spec.node_name for pod in (*owned, *beside) if pods.is_active(pod))
    return tuple(sorted(owned, key=lambda pod: deletion_rank(pod, crowd))[:count])


def deletion_rank(pod: Pod, crowd: Mapping[str, int]) -> tuple[bool | float | str, ...]:
    """Smaller goes first; ``crowd`` counts the siblings on each node.

    Unassigned before assigned, pending before running, not ready before ready, cheaper first,
    crowded nodes first, then the one ready for the shortest time, restarted most often, youngest.
    """
    created = pod.metadata.creation_timestamp
    containers, sidecars = _restarts(pod)
    return (
        bool(pod.spec.node_name),
        _PHASE_RANK.get(pod.status.phase, 1),
        pods.is_ready(pod),
        _deletion_cost(pod),
        -crowd[pod.spec.node_name],
        -(pods.ready_since(pod) or 0.0),
        -containers,
        -sidecars,
        -(timestamps.parse(created) if created else 0.0),
        pod.metadata.name,
    )


def _restarts(pod: Pod) -> tuple[int, int]:
    """Of the container that was restarted most often, and of such a sidecar."""
    kept = {item.name for item in pod.spec.init_containers if item.restart_policy == "Always"}
    sidecars = (item for item in pod.status.init_container_statuses if item.name in kept)
    return (
        max((item.restart_count for item in pod.status.container_statuses), default=0),
        max((item.restart_count for item in sidecars), default=0),
    )


def _deletion_cost(pod: Pod) -> int:
    text = pod.metadata.annotations.get(DELETION_COST, "0")
    return int(text) if text.removeprefix("-").isdecimal() else 0


def with_failure(
    status: ReplicaStatus, failure: ApiError | None, now: float, *, creating: bool = True
) -> ReplicaStatus:
    """``status`` saying that pods could not be made or deleted, or no longer saying so."""
    others = tuple(item for item in status.conditions if item.type != FAILURE)
    if failure is None:
        return msgspec.structs.replace(status, conditions=others)
    known = find(status.conditions, FAILURE)
    if known is not None and known.status == "True":
        # Each try would name another pod, and each writing of it bring about the next try.
        return status
    said = Condition(
        type=FAILURE,
        status="True",
        reason="FailedCreate" if creating else "FailedDelete",
        message=failure.message,
        last_transition_time=timestamps.render(now),
    )
    return msgspec.structs.replace(status, conditions=(*others, said))
