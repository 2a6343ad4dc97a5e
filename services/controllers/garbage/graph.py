"""Who owns whom, over all kinds, by uid; and whom a change concerns."""

from collections.abc import Iterable
from dataclasses import dataclass

from pilothouse.services.machinery.objects import Metadata
from pilothouse.services.machinery.resources import Resource

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"


@dataclass(frozen=True, slots=True)
class Item:
    """An object, known by its metadata."""

    resource: Resource
    metadata: Metadata


def is_waiting(metadata: Metadata) -> bool:
    """Whether it is being deleted and stays until its dependents are gone."""
    return metadata.deleting and FOREGROUND in metadata.finalizers


class Graph:
    """All items that have been seen; each change answers with the uids to look at."""

    def __init__(self) -> None:
        self._items: dict[str, Item] = {}
        self._dependents: dict[str, set[str]] = {}

    def __len__(self) -> int:
        return len(self._items)

    def uids(self) -> list[str]:
        return list(self._items)

    def get(self, uid: str) -> Item | None:
        return self._items.get(uid)

    def dependents(self, uid: str) -> list[Item]:
        return [self._items[other] for other in sorted(self._dependents.get(uid, ()))]

    def put(self, resource: Resource, metadata: Metadata) -> set[str]:
        """It is new, or has changed."""
        uid = metadata.uid
        old = self._items.get(uid)
        owners = {owner.uid for owner in metadata.owner_references}
        before = {owner.uid for owner in old.metadata.owner_references} if old else set()
        self._items[uid] = Item(resource, metadata)
        self._unlink(uid, before - owners)
        for owner in owners - before:
            self._dependents.setdefault(owner, set()).add(uid)
        concerned = {owner for owner in before | owners if self._is_waiting(owner)}
        if any(owner not in self._items or self._is_waiting(owner) for owner in owners):
            concerned.add(uid)
        if metadata.deleting and {FOREGROUND, ORPHAN} & set(metadata.finalizers):
            concerned |= {uid, *self._dependents.get(uid, ())}
        return concerned

    def remove(self, uid: str) -> set[str]:
        """It is gone."""
        item = self._items.pop(uid, None)
        if item is None:
            return set()
        owners = {owner.uid for owner in item.metadata.owner_references}
        self._unlink(uid, owners)
        return {
            *self._dependents.get(uid, ()),
            *(owner for owner in owners if self._is_waiting(owner)),
        }

    def _is_waiting(self, uid: str) -> bool:
        item = self._items.get(uid)
        return item is not None and is_waiting(item.metadata)

    def _unlink(self, uid: str, owners: Iterable[str]) -> None:
        for owner in owners:
            known = self._dependents.get(owner)
            if known is not None:
                known.discard(uid)
                if not known:
                    del self._dependents[owner]
