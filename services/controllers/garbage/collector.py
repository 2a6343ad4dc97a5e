"""
Garbage collector: what has lost its last owner goes; what is deleted in the foreground goes last.

Reads   the metadata of every kind
Writes  any object: delete, its owner references, the finalizers foregroundDeletion and orphan
Again   never: whatever matters is a change

Keys are uids. That an owner is absent is never believed from a cache alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from pilothouse.services.controllers.garbage.graph import FOREGROUND, ORPHAN, Item, is_waiting
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import DONE, Result


class State(Enum):
    """What became of an owner."""

    SOLID = "solid"
    ABSENT = "absent"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Owner:
    uid: str
    state: State


@dataclass(frozen=True, slots=True)
class Plan:
    """``drop``: uids of owners to forget; ``disown``: dependents that shall forget the item.

    ``policy`` says how to delete the item, empty not to; ``release`` is a finalizer to take away;
    ``unblock``: no owner shall wait for it any longer, since one of its dependents waits already.
    """

    drop: frozenset[str] = frozenset()
    disown: tuple[Item, ...] = ()
    release: str = ""
    policy: str = ""
    unblock: bool = False


NOTHING = Plan()
FOREGROUND_POLICY = "Foreground"


def plan(item: Item, owners: Sequence[Owner], dependents: Sequence[Item]) -> Plan:
    """``dependents``: all that name the item as an owner."""
    if item.metadata.deleting:
        return _leaving(item, dependents)
    if not owners:
        return NOTHING
    lost = frozenset(owner.uid for owner in owners if owner.state is not State.SOLID)
    if len(lost) < len(owners):
        return Plan(drop=lost)
    policy = _policy(item, owners, dependents)
    # Owners in a circle would wait for each other for ever.
    circle = policy == FOREGROUND_POLICY and any(is_waiting(one.metadata) for one in dependents)
    return Plan(policy=policy, unblock=circle)


def _leaving(item: Item, dependents: Sequence[Item]) -> Plan:
    if ORPHAN in item.metadata.finalizers:
        return Plan(disown=tuple(dependents), release=ORPHAN)
    if FOREGROUND not in item.metadata.finalizers:
        return NOTHING
    above = {owner.uid for owner in item.metadata.owner_references}
    blocked = any(
        owner.uid == item.metadata.uid and owner.block_owner_deletion
        for dependent in dependents
        # Its own owner, which waits as well: the two would wait for each other for ever.
        if not (dependent.metadata.uid in above and is_waiting(dependent.metadata))
        for owner in dependent.metadata.owner_references
    )
    return NOTHING if blocked else Plan(release=FOREGROUND)


def _policy(item: Item, owners: Sequence[Owner], dependents: Sequence[Item]) -> str:
    """In the foreground when an owner waits for it and it has dependents of its own."""
    if dependents and any(owner.state is State.WAITING for owner in owners):
        return FOREGROUND_POLICY
    if ORPHAN in item.metadata.finalizers:
        return "Orphan"
    return FOREGROUND_POLICY if FOREGROUND in item.metadata.finalizers else "Background"


class Cluster(Protocol):
    """What this controller asks of the API."""

    def item(self, uid: str) -> Item | None: ...
    def dependents(self, item: Item) -> Sequence[Item]: ...
    async def owners(self, item: Item) -> Sequence[Owner]:
        """Those it names, and whether the API knows them."""

    async def apply(self, item: Item, todo: Plan) -> None: ...


class GarbageCollector:
    """Deletes what nobody owns any more."""

    name = "garbagecollector"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def reconcile(self, key: Key) -> Result:
        item = self._cluster.item(key.name)
        if item is None:
            return DONE
        owners = await self._cluster.owners(item)
        todo = plan(item, owners, self._cluster.dependents(item))
        if todo != NOTHING:
            await self._cluster.apply(item, todo)
        return DONE
