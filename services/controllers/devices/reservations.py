"""
Reservations: a claim is held by no pod that is done, and gives its devices back when none holds it.

Reads   ResourceClaim, Pod
Writes  ResourceClaim (status.reservedFor, status.allocation, its finalizer; delete what was made
        for a pod that is done)
Again   never: whatever matters is a change
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from pilothouse.services.machinery.kinds import devices
from pilothouse.services.machinery.kinds.devices import Consumer, ResourceClaim
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.objects import Key, OwnerReference, controller_of
from pilothouse.services.runtime.control.loop import DONE, Result


@dataclass(frozen=True, slots=True)
class Plan:
    """``reserved``: who holds it from now on, None as before; the rest follows in this order."""

    reserved: tuple[Consumer, ...] | None = None
    deallocate: bool = False
    free: bool = False
    delete: bool = False


def plan(claim: ResourceClaim, holding: Collection[str], *, owner_done: bool) -> Plan:
    """``holding``: the uids of those who may still use it, of them that it is reserved for.

    ``owner_done``: it was made for a pod that runs nothing any more.

    Devices are given back when the last who held them lets go. A claim that was never held keeps
    what it was given, until it is deleted.
    """
    before = claim.status.reserved_for
    kept = tuple(item for item in before if item.uid in holding)
    reserved = kept if len(kept) < len(before) else None
    if kept:
        return Plan(reserved)
    protected = devices.FINALIZER in claim.metadata.finalizers
    over = reserved is not None or claim.metadata.deleting
    allocated = claim.status.allocation is not None
    return Plan(
        reserved,
        deallocate=over and protected and allocated,
        free=over and protected,
        delete=owner_done and not claim.metadata.deleting,
    )


def owning_pod(claim: ResourceClaim) -> OwnerReference | None:
    """The pod that it was made for."""
    owner = controller_of(claim.metadata)
    if owner is None or (owner.api_version, owner.kind) != ("v1", "Pod"):
        return None
    return owner


def is_strange(consumer: Consumer) -> bool:
    """Whether it is of a kind that nobody looks after: it stays."""
    return bool(consumer.api_group) or consumer.resource != "pods"


class Cluster(Protocol):
    """What this controller asks of the API."""

    def find(self, key: Key) -> ResourceClaim | None: ...
    def pod(self, key: Key) -> Pod | None: ...
    async def is_gone(self, key: Key, uid: str) -> bool:
        """Whether the API has this very pod no more: the cache may not have it yet."""

    async def write_status(self, claim: ResourceClaim, todo: Plan) -> ResourceClaim: ...
    async def free(self, claim: ResourceClaim) -> None: ...
    async def delete(self, claim: ResourceClaim) -> None: ...


class ReservationController:
    """Takes claims back."""

    name = "resourceclaim-reservations"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def reconcile(self, key: Key) -> Result:
        claim = self._cluster.find(key)
        if claim is None:
            return DONE
        todo = plan(claim, await self._holding(claim), owner_done=self._owner_done(claim))
        if todo.reserved is not None or todo.deallocate:
            claim = await self._cluster.write_status(claim, todo)
        if todo.free:
            await self._cluster.free(claim)
        if todo.delete:
            await self._cluster.delete(claim)
        return DONE

    async def _holding(self, claim: ResourceClaim) -> set[str]:
        return {
            item.uid
            for item in claim.status.reserved_for
            if is_strange(item) or await self._holds(Key(claim.metadata.namespace, item.name), item)
        }

    async def _holds(self, key: Key, consumer: Consumer) -> bool:
        pod = self._cluster.pod(key)
        if pod is None:
            return not await self._cluster.is_gone(key, consumer.uid)
        return pod.metadata.uid == consumer.uid and not devices.needs_claims_no_more(pod)

    def _owner_done(self, claim: ResourceClaim) -> bool:
        """One that the cache does not have is the garbage collector's."""
        owner = owning_pod(claim)
        pod = self._cluster.pod(Key(claim.metadata.namespace, owner.name)) if owner else None
        if owner is None or pod is None:
            return False
        return pod.metadata.uid != owner.uid or devices.needs_claims_no_more(pod)
