"""The PersistentVolumeClaims of a StatefulSet's pods: which are missing, and who owns them.

Who owns a claim decides when the garbage collector takes it away: the StatefulSet with
``whenDeleted: Delete``, a pod that is scaled away with ``whenScaled: Delete``, nobody else.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import msgspec

from pilothouse.services.machinery.kinds import statefulsets
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.kinds.statefulsets import Retention, StatefulSet
from pilothouse.services.machinery.kinds.volumes import Claim
from pilothouse.services.machinery.objects import Metadata, Object, OwnerReference

_DELETE = "Delete"


@dataclass(frozen=True, slots=True)
class ClaimBirth:
    """A claim to create from ``template`` for the pod of ``ordinal``."""

    name: str
    ordinal: int
    template: msgspec.Raw
    owners: tuple[OwnerReference, ...]


@dataclass(frozen=True, slots=True)
class Ownership:
    """Who shall own ``claim``."""

    claim: Claim
    owners: tuple[OwnerReference, ...]


Claims = Mapping[str, Claim]
"""Those of the namespace, by name."""


def names(stateful: StatefulSet, ordinal: int) -> dict[str, str]:
    """The claim for each template of the pod of ``ordinal``, by the template's name."""
    pod = statefulsets.pod_name(stateful, ordinal)
    templates = stateful.spec.volume_claim_templates
    return {named: f"{named}-{pod}" for named in map(_name, templates)}


def _name(template: msgspec.Raw) -> str:
    return _decoded_name(bytes(template))


@lru_cache(maxsize=1024)
def _decoded_name(template: bytes) -> str:
    return msgspec.json.decode(template, type=Object).metadata.name


def missing(stateful: StatefulSet, ordinals: Iterable[int], found: Claims) -> list[ClaimBirth]:
    """The claims without which these pods can not start."""
    owners = (_owner("StatefulSet", stateful.metadata),) if _policy(stateful)[0] else ()
    return [
        ClaimBirth(name, ordinal, template, owners)
        for ordinal in ordinals
        for template, name in zip(
            stateful.spec.volume_claim_templates, names(stateful, ordinal).values(), strict=True
        )
        if name not in found
    ]


def blocked(stateful: StatefulSet, ordinals: Iterable[int], found: Claims) -> frozenset[int]:
    """Of pods that are to be made: those whose claims are still going.

    A claim goes when it is being deleted, or when it belongs to an earlier pod of the same name.
    """
    return frozenset(
        ordinal
        for ordinal in ordinals
        if any(
            _is_going(stateful, ordinal, found[name])
            for name in names(stateful, ordinal).values()
            if name in found
        )
    )


def _is_going(stateful: StatefulSet, ordinal: int, claim: Claim) -> bool:
    if claim.metadata.deleting:
        return True
    pod = statefulsets.pod_name(stateful, ordinal)
    return _policy(stateful)[1] and any(
        owner.kind == "Pod" and owner.name == pod for owner in claim.metadata.owner_references
    )


def ownerships(stateful: StatefulSet, pods: Iterable[Pod], found: Claims) -> list[Ownership]:
    """Claims of these pods whose owners are not those that the policy wants."""
    changes = []
    for pod in pods:
        ordinal = statefulsets.ordinal_of(stateful, pod.metadata.name)
        if ordinal is None:
            continue
        for name in names(stateful, ordinal).values():
            claim = found.get(name)
            if claim is None or claim.metadata.deleting:
                continue
            owners = _owners(stateful, pod, ordinal, claim)
            if owners != claim.metadata.owner_references:
                changes.append(Ownership(claim, owners))
    return changes


def is_controlled_by_another(stateful: StatefulSet, change: Ownership) -> bool:
    """Whether the retention policy is passed over, since somebody else looks after the claim."""
    return any(_policy(stateful)) and any(
        owner.controller and owner.uid != stateful.metadata.uid and owner.kind != "Pod"
        for owner in change.owners
    )


def _policy(stateful: StatefulSet) -> tuple[bool, bool]:
    """Whether claims go with the set, and whether they go with pods that are scaled away."""
    policy = stateful.spec.persistent_volume_claim_retention_policy or Retention()
    return policy.when_deleted == _DELETE, policy.when_scaled == _DELETE


def _owners(
    stateful: StatefulSet, pod: Pod, ordinal: int, claim: Claim
) -> tuple[OwnerReference, ...]:
    present = claim.metadata.owner_references
    of_set, of_pod = _owner("StatefulSet", stateful.metadata), _owner("Pod", pod.metadata)
    ours = {(of_set.kind, of_set.name): of_set.uid, (of_pod.kind, of_pod.name): of_pod.uid}
    if any(ours.get((owner.kind, owner.name), owner.uid) != owner.uid for owner in present):
        # Left by one of the same name that is gone: the garbage collector's business.
        return present
    others = tuple(owner for owner in present if (owner.kind, owner.name) not in ours)
    goes_with_set, goes_with_pod = _policy(stateful)
    if not (goes_with_set or goes_with_pod) or any(owner.controller for owner in others):
        return others
    scaled_away = not statefulsets.is_in_range(stateful, ordinal)
    wanted = []
    if goes_with_set and not (goes_with_pod and scaled_away):
        wanted.append(of_set)
    if goes_with_pod and scaled_away:
        wanted.append(of_pod)
    if {owner for owner in present if owner not in others} == set(wanted):
        return present
    return (*others, *wanted)


def _owner(kind: str, owner: Metadata) -> OwnerReference:
    return OwnerReference(
        api_version="v1" if kind == "Pod" else "apps/v1",
        kind=kind,
        name=owner.name,
        uid=owner.uid,
        controller=True,
        block_owner_deletion=True,
    )
