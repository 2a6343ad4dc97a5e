"""
ResourceClaim: a pod has the claims that its spec has templates for, and may use what it came to.

Reads   Pod, ResourceClaimTemplate, ResourceClaim
Writes  ResourceClaim (create; status.reservedFor of pods that no scheduler reserved for),
        Pod (status.resourceClaimStatuses)
Again   never: whatever matters is a change
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pilothouse.services.machinery.errors import ApiError
from pilothouse.services.machinery.kinds import devices
from pilothouse.services.machinery.kinds.devices import ResourceClaim
from pilothouse.services.machinery.kinds.pods import Pod, PodClaim
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import DONE, Result

UNSEEN_SECONDS_MAX = 5.0
"""After this time a write that no cache shows counts as undone."""
PREFIX_BYTES_MAX = 57
"""Of a name: room is left for a hyphen and five letters of chance."""


@dataclass(frozen=True, slots=True)
class Plan:
    """``create``: claims to make, by template; ``tell``: claims that are there, by the pod's names.

    ``reserve``: claims that the pod may use from now on.
    """

    create: tuple[PodClaim, ...] = ()
    tell: tuple[tuple[str, str], ...] = ()
    reserve: tuple[ResourceClaim, ...] = ()


def plan(pod: Pod, found: Mapping[str, ResourceClaim], own: Sequence[ResourceClaim]) -> Plan:
    """``found``: the claims of the namespace that it names; ``own``: those made for this pod."""
    if pod.metadata.deleting:
        return Plan()
    create: list[PodClaim] = []
    tell: list[tuple[str, str]] = []
    named: list[str] = []
    for wanted in pod.spec.resource_claims:
        name = devices.claim_name(pod, wanted)
        if name == "":
            continue
        claim = found.get(name) if name is not None else None
        if wanted.resource_claim_template_name is None:
            named.append(name or "")
        elif claim is not None and devices.is_for(pod, claim):
            named.append(claim.metadata.name)
        elif (made := _made(pod, wanted, own)) is not None:
            tell.append((wanted.name, made.metadata.name))
            named.append(made.metadata.name)
        else:
            create.append(wanted)
    return Plan(tuple(create), tuple(tell), _unreserved(pod, named, found, own))


def _made(pod: Pod, wanted: PodClaim, own: Sequence[ResourceClaim]) -> ResourceClaim | None:
    """The one that was made for it, by its mark, or without one by a name of releases before."""
    plain = f"{pod.metadata.name}-{wanted.name}"
    for claim in sorted(own, key=lambda item: item.metadata.name):
        if claim.metadata.deleting:
            continue
        mark = claim.metadata.annotations.get(devices.CLAIM_NAME)
        if mark == wanted.name or (mark is None and claim.metadata.name == plain):
            return claim
    return None


def _unreserved(
    pod: Pod,
    named: Sequence[str],
    found: Mapping[str, ResourceClaim],
    own: Sequence[ResourceClaim],
) -> tuple[ResourceClaim, ...]:
    """Of a pod that came to its node without a scheduler that knows of claims."""
    if not pod.spec.node_name or devices.needs_claims_no_more(pod):
        return ()
    known = {**found, **{claim.metadata.name: claim for claim in own}}
    return tuple(
        claim
        for name in dict.fromkeys(named)
        if (claim := known.get(name)) is not None
        and claim.status.allocation is not None
        and not devices.is_reserved_for(pod, claim)
        and len(claim.status.reserved_for) < devices.RESERVED_MAX
    )


def prefix(pod: str, claim: str) -> str:
    """What the name of a made claim begins with; long names are both cut by their share."""
    whole = f"{pod}-{claim}-"
    if len(whole) <= PREFIX_BYTES_MAX:
        return whole
    share = PREFIX_BYTES_MAX / len(whole)
    return f"{pod[: int(len(pod) * share)]}-{claim[: int(len(claim) * share)]}"


class Cluster(Protocol):
    """What this controller asks of the API; keys are of pods."""

    def pod(self, key: Key) -> Pod | None: ...
    def settled(self, key: Key) -> bool:
        """Whether the claims that we made for the pod have come back to us."""

    def claims(self, pod: Pod) -> tuple[Mapping[str, ResourceClaim], Sequence[ResourceClaim]]:
        """Those that it names, by name, and those that it owns."""

    async def create(self, pod: Pod, wanted: PodClaim) -> str:
        """Make one, and give its name; who waits for the pod is told of a refusal."""

    async def tell(self, pod: Pod, names: Sequence[tuple[str, str]]) -> None: ...
    async def reserve(self, pod: Pod, claim: ResourceClaim) -> None: ...


class ResourceClaimController:
    """Gives pods their claims."""

    name = "resourceclaim"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def reconcile(self, key: Key) -> Result:
        pod = self._cluster.pod(key)
        if pod is None or not pod.spec.resource_claims:
            return DONE
        if not self._cluster.settled(key):
            return Result.unseen(UNSEEN_SECONDS_MAX)
        todo = plan(pod, *self._cluster.claims(pod))
        failure: ApiError | None = None
        names = list(todo.tell)
        for wanted in todo.create:
            try:
                names.append((wanted.name, await self._cluster.create(pod, wanted)))
            except ApiError as error:
                failure = failure or error
        if names:
            await self._cluster.tell(pod, names)
        for claim in todo.reserve:
            await self._cluster.reserve(pod, claim)
        if failure is not None:
            raise failure
        return DONE
