"""The metadata of every kind as one graph, and the deletions that follow from it."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from pilothouse.services.controllers.adapters.objects.definitions import Definitions
from pilothouse.services.controllers.adapters.world import Controller, World, reference
from pilothouse.services.controllers.garbage.collector import (
    GarbageCollector,
    Owner,
    Plan,
    State,
)
from pilothouse.services.controllers.garbage.graph import Graph, Item, is_meant, is_waiting
from pilothouse.services.machinery.errors import NotFound
from pilothouse.services.machinery.objects import (
    Key,
    Metadata,
    Object,
    OwnerReference,
    Viewed,
)
from pilothouse.services.machinery.resources import (
    CLUSTER_SCOPED,
    EVENTS,
    NAMESPACED,
    Resource,
)
from pilothouse.services.runtime.control import batches
from pilothouse.services.runtime.control.loop import Loop
from pilothouse.services.runtime.control.queue import WorkQueue

ABSENT_MAX = 500
KINDS: tuple[Resource, ...] = tuple(
    resource for resource in (*NAMESPACED, *CLUSTER_SCOPED) if resource != EVENTS
)

_OBJECT = msgspec.json.Decoder(Object)


class Garbage:
    """What the garbage collector asks for."""

    def __init__(self, world: World, graph: Graph) -> None:
        self.kinds = {_name(resource): resource for resource in KINDS}
        self._objects = world.objects
        self._graph = graph
        self._recorder = world.recorder("garbage-collector-controller")
        self._absent: OrderedDict[tuple[str, OwnerReference], None] = OrderedDict()

    def item(self, uid: str) -> Item | None:
        return self._graph.get(uid)

    def dependents(self, item: Item) -> Sequence[Item]:
        return self._graph.dependents(item.metadata.uid)

    async def owners(self, item: Item) -> Sequence[Owner]:
        return [await self._judge(item, owner) for owner in item.metadata.owner_references]

    async def apply(self, item: Item, todo: Plan) -> None:
        try:
            if todo.drop:
                await self._rewrite_owners(item, todo.drop)
            if todo.disown:
                await self._disown(item.metadata.uid, todo.disown)
            if todo.release:
                await self._release(item, todo.release)
            if todo.unblock:
                item = await self._unblock(item)
            if todo.policy:
                await self._delete(item, todo.policy)
        except NotFound:
            return

    async def _judge(self, item: Item, owner: OwnerReference) -> Owner:
        known, namespace = self._graph.get(owner.uid), item.metadata.namespace
        if known is not None and is_meant(known, owner, namespace):
            state = State.WAITING if is_waiting(known.metadata) else State.SOLID
            return Owner(owner.uid, state)
        if known is not None and known.resource.namespaced:
            self._tell_elsewhere(item, known, owner)
        if (namespace, owner) in self._absent:
            return Owner(owner.uid, State.ABSENT)
        return Owner(owner.uid, await self._ask(item, owner))

    async def _ask(self, item: Item, owner: OwnerReference) -> State:
        """An owner of a kind we do not know, or where it can not be looked up, counts as there."""
        resource = self.kinds.get(_named(owner))
        if resource is None or (resource.namespaced and not item.resource.namespaced):
            return State.SOLID
        namespace = item.metadata.namespace
        key = Key(namespace if resource.namespaced else "", owner.name)
        try:
            found = _OBJECT.decode(await self._objects.get(resource, key)).metadata
        except NotFound:
            found = None
        if found is not None and found.uid == owner.uid:
            return State.WAITING if is_waiting(found) else State.SOLID
        self._absent[namespace, owner] = None
        if len(self._absent) > ABSENT_MAX:
            self._absent.popitem(last=False)
        return State.ABSENT

    def _tell_elsewhere(self, item: Item, known: Item, owner: OwnerReference) -> None:
        """People are told of an owner that lives where it can own nothing of this."""
        namespace = item.metadata.namespace
        if known.metadata.namespace == namespace:
            return
        said = (
            f"[{owner.api_version}/{owner.kind}, namespace: {namespace}, name: {owner.name}, "
            f"uid: {owner.uid}]"
        )
        text = f'ownerRef {said} does not exist in namespace "{namespace}"'
        about = reference(item.resource, item.metadata)
        self._recorder.note(about, "Warning", "OwnerRefInvalidNamespace", text)

    async def _delete(self, item: Item, policy: str) -> None:
        """Unless its owners changed since: then the change itself brings us back."""
        metadata = await self._present(item)
        if metadata.owner_references != item.metadata.owner_references:
            return
        await self._objects.delete(
            item.resource, metadata.key, uid=metadata.uid, propagation_policy=policy
        )

    async def _rewrite_owners(self, item: Item, drop: frozenset[str]) -> None:
        metadata = await self._present(item)
        kept = [owner for owner in metadata.owner_references if owner.uid not in drop]
        if len(kept) == len(metadata.owner_references):
            return
        owners: list[dict[str, Any]] = [msgspec.to_builtins(owner) for owner in kept]
        await self._patch(item.resource, metadata, {"ownerReferences": owners or None})

    async def _unblock(self, item: Item) -> Item:
        metadata = await self._present(item)
        owners = [
            {**msgspec.to_builtins(owner), "blockOwnerDeletion": False}
            for owner in metadata.owner_references
        ]
        await self._patch(item.resource, metadata, {"ownerReferences": owners})
        return Item(item.resource, await self._present(item))

    async def _disown(self, uid: str, dependents: Sequence[Item]) -> None:
        async def disown(dependent: Item) -> None:
            try:
                await self._rewrite_owners(dependent, frozenset((uid,)))
            except NotFound:
                return

        failure = await batches.each(dependents, disown)
        if failure is not None:
            raise failure

    async def _release(self, item: Item, finalizer: str) -> None:
        metadata = await self._present(item)
        kept = [name for name in metadata.finalizers if name != finalizer]
        if len(kept) < len(metadata.finalizers):
            await self._patch(item.resource, metadata, {"finalizers": kept or None})

    async def _patch(self, resource: Resource, metadata: Metadata, said: dict[str, Any]) -> None:
        condition = {"uid": metadata.uid, "resourceVersion": metadata.resource_version}
        await self._objects.patch(resource, metadata.key, {"metadata": {**condition, **said}})

    async def _present(self, item: Item) -> Metadata:
        """As the API has it now; NotFound when there is none or another of its name."""
        text = await self._objects.get(item.resource, item.metadata.key)
        metadata = _OBJECT.decode(text).metadata
        if metadata.uid != item.metadata.uid:
            raise NotFound(f"{item.resource.kind} {item.metadata.key} is another one now")
        return metadata


def collector(world: World) -> Controller:
    """The garbage collector, wired to the metadata of every kind."""
    graph = Graph()
    queue: WorkQueue[Key] = WorkQueue()
    cluster = Garbage(world, graph)
    # First: of definitions more than the metadata is of interest.
    definitions = Definitions(world)
    for resource in KINDS:
        world.metadata(resource).on_change(_follow(graph, resource, queue))

    def served(old: Resource | None, new: Resource | None) -> None:
        """A custom kind comes or goes."""
        if old is not None:
            cluster.kinds.pop(_name(old), None)
            gone = _follow(graph, old, queue)
            for item in world.metadata(old).values():
                gone(item, None)
            world.forget(old)
        if new is not None:
            cluster.kinds[_name(new)] = new
            world.follow(new).on_change(_follow(graph, new, queue))
            # Whose owner nobody could look up may have none.
            for uid in graph.naming(new.group, new.kind):
                queue.add(Key("", uid))

    definitions.on_change(served)
    return Controller(
        Loop(GarbageCollector(cluster), queue),
        lambda: [Key("", uid) for uid in graph.uids()],
    )


def _name(resource: Resource) -> tuple[str, str]:
    return resource.group, resource.kind


def _named(owner: OwnerReference) -> tuple[str, str]:
    """Group and kind, as a reference to an owner names it."""
    return owner.api_version.rpartition("/")[0], owner.kind


def _follow(
    graph: Graph, resource: Resource, queue: WorkQueue[Key]
) -> Callable[[Viewed | None, Viewed | None], None]:
    def changed(old: Viewed | None, new: Viewed | None) -> None:
        concerned: set[str] = set()
        if old is not None and (new is None or new.metadata.uid != old.metadata.uid):
            concerned |= graph.remove(old.metadata.uid)
        if new is not None:
            concerned |= graph.put(resource, new.metadata)
        for uid in sorted(concerned):
            queue.add(Key("", uid))

    return changed
