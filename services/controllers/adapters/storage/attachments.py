"""Attachments of drivers' volumes to nodes, and the writes to them and to the nodes."""

from collections.abc import Iterable, Iterator

from pilothouse.services.controllers.adapters.removal import remove
from pilothouse.services.controllers.adapters.storage import attachwakes
from pilothouse.services.controllers.adapters.storage.attachwakes import NODE, VOLUME
from pilothouse.services.controllers.adapters.world import Controller, World, reference
from pilothouse.services.controllers.storage.attaching import (
    VOLUMES,
    AttachDetachController,
    Observed,
    Place,
)
from pilothouse.services.machinery import conditions
from pilothouse.services.machinery.errors import AlreadyExists, NotFound
from pilothouse.services.machinery.kinds import attachments, nodes, pods
from pilothouse.services.machinery.kinds.attachments import Attachment, Driver
from pilothouse.services.machinery.kinds.nodes import Node
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.kinds.volumes import Claim, PersistentVolume
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import (
    CSI_DRIVERS,
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    VOLUME_ATTACHMENTS,
)
from pilothouse.services.runtime.control.loop import Loop
from pilothouse.services.runtime.control.queue import WorkQueue

_READY = "Ready"


class Attachments:
    """What the attach and detach controller asks for."""

    def __init__(self, world: World) -> None:
        self._objects = world.objects
        self._clock = world.clock
        self._pods = world.cache(PODS, Pod)
        self._claims = world.cache(PERSISTENT_VOLUME_CLAIMS, Claim)
        self._volumes = world.cache(PERSISTENT_VOLUMES, PersistentVolume)
        self._nodes = world.cache(NODES, Node)
        self._drivers = world.cache(CSI_DRIVERS, Driver)
        self._attachments = world.cache(VOLUME_ATTACHMENTS, Attachment)
        self._recorder = world.recorder("attachdetach-controller")
        self._idle_since: dict[str, float] = {}

    def volume(self, name: str) -> PersistentVolume | None:
        return self._volumes.get(Key("", name))

    def now(self) -> float:
        return self._clock.now()

    def observe(self, name: str) -> Observed:
        volume = self.volume(name)
        wanted = frozenset(pod.spec.node_name for pod in self._users(volume))
        made = [
            item for item in self._attachments.by_index(VOLUME, name) if attachments.is_ours(item)
        ]
        places = {}
        for item in made:
            node = item.spec.node_name
            if node in wanted:
                self._idle_since.pop(item.metadata.name, None)
            else:
                places[node] = self._place(volume, node, item.metadata.name)
        return Observed(wanted, made, places)

    def _users(self, volume: PersistentVolume | None) -> Iterator[Pod]:
        """The pods on nodes that want it attached."""
        if volume is None or volume.spec.csi is None or volume.spec.claim_ref is None:
            return
        driver = self._drivers.get(Key("", volume.spec.csi.driver))
        if driver is not None and not driver.spec.attach_required:
            return
        key = volume.spec.claim_ref.key
        claim = self._claims.get(key)
        if claim is None or claim.spec.volume_name != volume.metadata.name:
            return
        for pod in self._pods.by_index(attachwakes.CLAIM, str(key)):
            node = self._nodes.get(Key("", pod.spec.node_name))
            is_left = node is not None and attachments.BY_CONTROLLER in node.metadata.annotations
            if is_left and pods.uses_volumes(pod):
                yield pod

    def _place(self, volume: PersistentVolume | None, name: str, attachment: str) -> Place:
        since = self._idle_since.setdefault(attachment, self._clock.now())
        node = self._nodes.get(Key("", name))
        if node is None:
            return Place(since=since)
        return Place(
            holds=volume is not None
            and attachments.unique_name(volume) in node.status.volumes_in_use,
            lost=any(taint.key == nodes.OUT_OF_SERVICE for taint in node.spec.taints),
            ill=not conditions.is_true(node.status.conditions, _READY),
            since=since,
        )

    async def report(self, node: str, without: Iterable[str] = ()) -> None:
        found = self._nodes.get(Key("", node))
        if found is None or attachments.BY_CONTROLLER not in found.metadata.annotations:
            return
        names = sorted({name for name in self._attached(node, frozenset(without)) if name})
        if names == sorted(item.name for item in found.status.volumes_attached):
            return
        told = [{"name": name, "devicePath": ""} for name in names]
        patch = {"metadata": {"uid": found.metadata.uid}, "status": {"volumesAttached": told}}
        try:
            await self._objects.patch(NODES, found.metadata.key, patch, subresource="status")
        except NotFound:
            return

    def _attached(self, node: str, without: frozenset[str]) -> Iterator[str]:
        for item in self._attachments.by_index(NODE, node):
            volume = self.volume(item.spec.source.persistent_volume_name)
            is_there = item.status.attached and not item.metadata.deleting
            is_kept = attachments.is_ours(item) and item.metadata.name not in without
            if is_there and is_kept and volume is not None:
                yield attachments.unique_name(volume)

    def refuse(self, volume: str, node: str) -> None:
        text = (
            f'Multi-Attach error for volume "{volume}" Volume is already exclusively attached '
            "to one node and can't be attached to another"
        )
        self._say(volume, node, "Warning", "FailedAttachVolume", text)

    def told(self, old: Attachment | None, new: Attachment | None) -> None:
        """Tell the pods that wait what a driver says."""
        if new is None or not attachments.is_ours(new):
            return
        before = old.status if old is not None else new.status
        volume, node = new.spec.source.persistent_volume_name, new.spec.node_name
        if new.status.attached and not before.attached:
            text = f'AttachVolume.Attach succeeded for volume "{volume}" '
            self._say(volume, node, "Normal", "SuccessfulAttachVolume", text)
        error = new.status.attach_error
        if error is not None and error != before.attach_error:
            text = f'AttachVolume.Attach failed for volume "{volume}" : {error.message}'
            self._say(volume, node, "Warning", "FailedAttachVolume", text)

    def _say(self, volume: str, node: str, type_: str, reason: str, text: str) -> None:
        for pod in self._users(self.volume(volume)):
            if pod.spec.node_name == node:
                self._recorder.note(reference(PODS, pod.metadata), type_, reason, text)

    async def attach(self, volume: PersistentVolume, node: str) -> None:
        source = volume.spec.csi
        if source is None:
            return
        body = {
            "apiVersion": VOLUME_ATTACHMENTS.api_version,
            "kind": VOLUME_ATTACHMENTS.kind,
            "metadata": {"name": attachments.name(volume, node)},
            "spec": {
                "attacher": source.driver,
                "nodeName": node,
                "source": {"persistentVolumeName": volume.metadata.name},
            },
        }
        try:
            await self._objects.create(VOLUME_ATTACHMENTS, "", body)
        except AlreadyExists:
            return  # it is seen in a moment

    async def detach(self, attachment: Attachment) -> None:
        self._idle_since.pop(attachment.metadata.name, None)
        await remove(self._objects, VOLUME_ATTACHMENTS, attachment.metadata)


def attachdetach(world: World) -> Controller:
    """The controller, wired."""
    queue: WorkQueue[Key] = WorkQueue()
    cluster = Attachments(world)
    attachwakes.wire(world, queue)
    world.cache(VOLUME_ATTACHMENTS, Attachment).on_change(cluster.told)
    loop = Loop(AttachDetachController(cluster), queue, workers=1)
    held = world.cache(PERSISTENT_VOLUMES, PersistentVolume)
    return Controller(loop, lambda: [Key(VOLUMES, item.metadata.name) for item in held.values()])
