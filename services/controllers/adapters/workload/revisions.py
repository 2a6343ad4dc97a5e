"""Writing ControllerRevisions: made, numbered, taken, given up and dropped."""

from dataclasses import dataclass
from typing import Any

import msgspec

from pilothouse.services.controllers.adapters import indexes, ownership
from pilothouse.services.controllers.adapters.removal import remove
from pilothouse.services.controllers.adapters.world import World
from pilothouse.services.machinery.errors import AlreadyExists
from pilothouse.services.machinery.kinds import revisions
from pilothouse.services.machinery.kinds.revisions import ControllerRevision, History, Wanted
from pilothouse.services.machinery.objects import (
    Key,
    Metadata,
    Object,
    controller_of,
    owner_reference,
)
from pilothouse.services.machinery.resources import CONTROLLER_REVISIONS, Resource
from pilothouse.services.runtime.control.queue import WorkQueue
from pilothouse.services.runtime.control.settled import Settled

_REVISION = msgspec.json.Decoder(ControllerRevision)


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose history it is; ``template`` lends its labels, ``collisions`` is the status' count."""

    metadata: Metadata
    template: msgspec.Raw
    collisions: int | None


class Revisions:
    """The revisions of one kind, each labelled with its name's end under ``hash_label``."""

    def __init__(self, world: World, kind: Resource, hash_label: str) -> None:
        self._objects = world.objects
        self._kind = kind
        self._hash_label = hash_label
        self._cache = world.cache(CONTROLLER_REVISIONS, ControllerRevision)
        indexes.add_controller(self._cache)
        self._settled = Settled(self._cache)
        self._waiting: set[Key] = set()

    def settled(self, key: Key) -> bool:
        """Whether the cache shows what was written for ``key``; if not, :meth:`tell` will say."""
        if self._settled.is_settled(key):
            self._waiting.discard(key)
            return True
        self._waiting.add(key)
        return False

    def forget(self, key: Key) -> None:
        """``key`` is gone."""
        self._settled.forget(key)
        self._waiting.discard(key)

    def tell(self, queue: WorkQueue[Key]) -> None:
        """Ask for another look once the cache has caught up; what others write asks for none."""

        def changed(old: ControllerRevision | None, new: ControllerRevision | None) -> None:
            item = new if new is not None else old
            owner = controller_of(item.metadata) if item is not None else None
            if item is None or owner is None or owner.kind != self._kind.kind:
                return
            key = Key(item.metadata.namespace, owner.name)
            if key in self._waiting:
                queue.add(key)

        self._cache.on_change(changed)

    def near(self, owner: Metadata) -> list[ControllerRevision]:
        """Those that it controls, and those of the namespace that nobody controls."""
        free = indexes.free(owner.namespace)
        return [
            *self._cache.by_index(indexes.CONTROLLER, owner.uid),
            *self._cache.by_index(indexes.CONTROLLER, free),
        ]

    async def remember(self, owner: Owner, history: History) -> None:
        """Adopt, release, and see to it that the revision of now is there under its number."""
        for item in history.claim.adopt:
            await ownership.adopt(
                self._objects, CONTROLLER_REVISIONS, item.metadata, self._kind, owner.metadata
            )
        for item in history.claim.release:
            await ownership.release(
                self._objects, CONTROLLER_REVISIONS, item.metadata, owner.metadata
            )
        wanted = history.wanted
        if wanted is None or not revisions.is_new(wanted):
            return
        if wanted.present is None:
            await self._create(owner, wanted)
            return
        metadata = wanted.present.metadata
        patch = {"metadata": {"uid": metadata.uid}, "revision": wanted.number}
        answer = await self._objects.patch(CONTROLLER_REVISIONS, metadata.key, patch)
        self._settled.wrote(owner.metadata.key, answer)

    async def drop(self, history: History) -> None:
        """Delete what the history no longer needs."""
        for item in history.delete:
            await remove(self._objects, CONTROLLER_REVISIONS, item.metadata)

    async def _create(self, owner: Owner, wanted: Wanted) -> None:
        namespace = owner.metadata.namespace
        try:
            body = self._body(owner, wanted)
            answer = await self._objects.create(CONTROLLER_REVISIONS, namespace, body)
        except AlreadyExists:
            answer = await self._meet(owner, wanted, Key(namespace, wanted.name))
        self._settled.wrote(owner.metadata.key, answer)

    async def _meet(self, owner: Owner, wanted: Wanted, key: Key) -> str:
        """The name is taken: by our own revision, which is well, or by another."""
        answer = await self._objects.get(CONTROLLER_REVISIONS, key)
        present = _REVISION.decode(answer)
        controller = controller_of(present.metadata)
        ours = controller is not None and controller.uid == owner.metadata.uid
        if ours and revisions.digest(bytes(present.data)) == revisions.digest(wanted.data):
            return answer
        patch = {
            "metadata": {"uid": owner.metadata.uid},
            "status": {"collisionCount": (owner.collisions or 0) + 1},
        }
        await self._objects.patch(self._kind, owner.metadata.key, patch, subresource="status")
        raise AlreadyExists(f"ControllerRevision {key} is another's; the next try takes another")

    def _body(self, owner: Owner, wanted: Wanted) -> dict[str, Any]:
        labels = msgspec.json.decode(owner.template, type=Object).metadata.labels
        metadata: dict[str, Any] = {
            "name": wanted.name,
            "namespace": owner.metadata.namespace,
            "labels": {**labels, self._hash_label: wanted.ending},
            "ownerReferences": [owner_reference(self._kind, owner.metadata)],
        }
        if owner.metadata.annotations:
            metadata["annotations"] = owner.metadata.annotations
        return {
            "apiVersion": CONTROLLER_REVISIONS.api_version,
            "kind": CONTROLLER_REVISIONS.kind,
            "metadata": metadata,
            "data": msgspec.Raw(wanted.data),
            "revision": wanted.number,
        }
