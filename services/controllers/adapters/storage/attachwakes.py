"""Which volumes and nodes are looked at when something changes that attaching depends on."""

from pilothouse.services.controllers.adapters.world import World
from pilothouse.services.controllers.storage.attaching import NODES as OF_NODES
from pilothouse.services.controllers.storage.attaching import VOLUMES as OF_VOLUMES
from pilothouse.services.machinery.kinds import attachments, volumes
from pilothouse.services.machinery.kinds.attachments import Attachment
from pilothouse.services.machinery.kinds.nodes import Node
from pilothouse.services.machinery.kinds.pods import Pod, uses_volumes
from pilothouse.services.machinery.kinds.volumes import Claim, PersistentVolume
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import (
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    VOLUME_ATTACHMENTS,
)
from pilothouse.services.runtime.client.cache import Cache
from pilothouse.services.runtime.control.queue import WorkQueue

CLAIM, VOLUME, NODE = "claim", "volume", "node"
DRIVERS = "drivers"


class _Wakes:
    def __init__(
        self,
        queue: WorkQueue[Key],
        claims: Cache[Claim],
        held: Cache[PersistentVolume],
        made: Cache[Attachment],
    ) -> None:
        self._queue = queue
        self._claims = claims
        self._held = held
        self._made = made

    def pod(self, old: Pod | None, new: Pod | None) -> None:
        item = new if new is not None else old
        if item is None or not item.spec.volumes or not item.spec.node_name:
            return
        if old is not None and new is not None and _used(old) == _used(new):
            return
        keys = {key for one in (old, new) if one is not None for key in volumes.claims_of(one)}
        for key in keys:
            claim = self._claims.get(key)
            if claim is not None:
                self._volume(claim.spec.volume_name)

    def claim(self, old: Claim | None, new: Claim | None) -> None:
        item = new if new is not None else old
        if item is not None:
            self._volume(item.spec.volume_name)

    def volume(self, old: PersistentVolume | None, new: PersistentVolume | None) -> None:
        item = new if new is not None else old
        if item is not None:
            self._volume(item.metadata.name)

    def _volume(self, name: str) -> None:
        """Only what is a driver's is attached."""
        found = self._held.get(Key("", name)) if name else None
        is_drivers = found is not None and found.spec.csi is not None
        if is_drivers or self._made.by_index(VOLUME, name):
            self._queue.add(Key(OF_VOLUMES, name))

    def attachment(self, old: Attachment | None, new: Attachment | None) -> None:
        item = new if new is not None else old
        if item is not None and attachments.is_ours(item):
            self._queue.add(Key(OF_VOLUMES, item.spec.source.persistent_volume_name))
            self._queue.add(Key(OF_NODES, item.spec.node_name))

    def node(self, old: Node | None, new: Node | None) -> None:
        item = new if new is not None else old
        if item is None or (old is not None and new is not None and _same(old, new)):
            return
        name = item.metadata.name
        for made in self._made.by_index(NODE, name):
            self._queue.add(Key(OF_VOLUMES, made.spec.source.persistent_volume_name))
        self._queue.add(Key(OF_NODES, name))
        if new is not None and (old is None or _annotated(old) != _annotated(new)):
            for volume in self._held.by_index(DRIVERS, DRIVERS):
                self._queue.add(Key(OF_VOLUMES, volume.metadata.name))


def _used(pod: Pod) -> tuple[bool, str]:
    return uses_volumes(pod), pod.spec.node_name


def _same(old: Node, new: Node) -> bool:
    return (
        old.spec.taints == new.spec.taints
        and old.status.volumes_in_use == new.status.volumes_in_use
        and old.status.volumes_attached == new.status.volumes_attached
        and old.status.conditions == new.status.conditions
        and _annotated(old) == _annotated(new)
    )


def _annotated(node: Node) -> bool:
    return attachments.BY_CONTROLLER in node.metadata.annotations


def wire(world: World, queue: WorkQueue[Key]) -> None:
    """Indexes and ears."""
    claims = world.cache(PERSISTENT_VOLUME_CLAIMS, Claim)
    held = world.cache(PERSISTENT_VOLUMES, PersistentVolume)
    made = world.cache(VOLUME_ATTACHMENTS, Attachment)
    pods = world.cache(PODS, Pod)
    pods.add_index(CLAIM, lambda pod: map(str, volumes.claims_of(pod)))
    held.add_index(DRIVERS, lambda item: (DRIVERS,) if item.spec.csi is not None else ())
    made.add_index(VOLUME, lambda item: (item.spec.source.persistent_volume_name,))
    made.add_index(NODE, lambda item: (item.spec.node_name,))
    wakes = _Wakes(queue, claims, held, made)
    pods.on_change(wakes.pod)
    claims.on_change(wakes.claim)
    held.on_change(wakes.volume)
    made.on_change(wakes.attachment)
    world.cache(NODES, Node).on_change(wakes.node)
