"""Who owns whom, over all kinds, by uid; and whom a change concerns."""

from collections.abc import Iterable
from dataclasses import dataclass

from pilothouse.services.machinery.objects import Metadata, OwnerReference
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


def is_meant(item: Item, reference: OwnerReference, namespace: str) -> bool:
    """Whether a reference in ``namespace`` leads to the item: a uid alone proves nothing.

    What lives in another namespace can not be owner of anything here.
    """
    group = reference.api_version.rpartition("/")[0]
    return (
        (item.resource.kind, item.resource.group) == (reference.kind, group)
        and item.metadata.name == reference.name
        and (not item.resource.namespaced or item.metadata.namespace == namespace)
    )


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
        if any(self._is_doubtful(owner, metadata) for owner in metadata.owner_references):
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

    def naming(self, group: str, kind: str) -> list[str]:
        """The uids of all that name an owner of this kind."""
        return [
            uid
            for uid, item in self._items.items()
            for owner in item.metadata.owner_references
            if (owner.api_version.rpartition("/")[0], owner.kind) == (group, kind)
        ]

    def _is_doubtful(self, reference: OwnerReference, metadata: Metadata) -> bool:
        owner = self._items.get(reference.uid)
        if owner is None or is_waiting(owner.metadata):
            return True
        return not is_meant(owner, reference, metadata.namespace)

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
