"""
Attaching: a volume of a driver is attached to the nodes of the pods that use it, and to no other.

Reads   Pod, PersistentVolumeClaim, PersistentVolume, CSIDriver, Node, VolumeAttachment
Writes  VolumeAttachment (create, delete), Node status (volumesAttached)
Again   when six minutes are over in which an ill node kept a volume that nobody uses

Keys are ``volumes/NAME`` and ``nodes/NAME``. Drivers' own controllers do what is asked for here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pilothouse.services.machinery.kinds.attachments import Attachment
from pilothouse.services.machinery.kinds.volumes import PersistentVolume
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import DONE, Result

FORCE_SECONDS = 360.0
SHARED = frozenset({"ReadWriteMany", "ReadOnlyMany"})
VOLUMES, NODES = "volumes", "nodes"


@dataclass(frozen=True, slots=True)
class Place:
    """What is known of a node: ``holds`` says that the volume is mounted there.

    ``lost``: its owner said that it is off; ``ill``: it is not ready; ``since`` when nobody used
    the volume there any more.
    """

    holds: bool = False
    lost: bool = False
    ill: bool = False
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class Observed:
    """``wanted``: nodes with pods that use the volume; empty for what is not to be attached."""

    wanted: frozenset[str] = frozenset()
    attachments: Sequence[Attachment] = ()
    places: Mapping[str, Place] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """``refused``: nodes that have to wait, for the volume is on another."""

    attach: tuple[str, ...] = ()
    detach: tuple[Attachment, ...] = ()
    refused: tuple[str, ...] = ()
    again_after: float | None = None


def plan(volume: PersistentVolume | None, seen: Observed, now: float) -> Plan:
    """Detach before attaching: what is left of a volume decides who may have it."""
    detach, waits, dues = [], [], []
    for item in seen.attachments:
        if item.metadata.deleting or item.spec.node_name in seen.wanted:
            continue
        due = _due(seen.places.get(item.spec.node_name, Place()), now)
        if due is None:
            waits.append(item)
        elif due > 0:
            dues.append(due)
        else:
            detach.append(item)
    having = {item.spec.node_name for item in seen.attachments}
    new = sorted(seen.wanted - having)
    if volume is None:
        new = []
    attach, refused = new, list[str]()
    if volume is not None and not SHARED & set(volume.spec.access_modes):
        attach, refused = ([], new) if having else (new[:1], new[1:])
    return Plan(tuple(attach), tuple(detach), tuple(refused), min(dues, default=None))


def _due(place: Place, now: float) -> float | None:
    """Seconds until it may be detached; None: when the node has let go of it."""
    if not place.holds or place.lost:
        return 0.0
    if not place.ill:
        return None
    return max(place.since + FORCE_SECONDS - now, 0.0)


class Cluster(Protocol):
    """What this controller asks of the API."""

    def volume(self, name: str) -> PersistentVolume | None: ...
    def observe(self, name: str) -> Observed: ...
    def now(self) -> float: ...
    async def report(self, node: str, without: Iterable[str] = ()) -> None:
        """Say in the node's status what is attached to it, but for these attachments."""

    def refuse(self, volume: str, node: str) -> None: ...
    async def attach(self, volume: PersistentVolume, node: str) -> None: ...
    async def detach(self, attachment: Attachment) -> None: ...


class AttachDetachController:
    """Asks drivers to attach and to detach."""

    name = "attachdetach"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def reconcile(self, key: Key) -> Result:
        if key.namespace == NODES:
            await self._cluster.report(key.name)
            return DONE
        volume = self._cluster.volume(key.name)
        todo = plan(volume, self._cluster.observe(key.name), self._cluster.now())
        for node in todo.refused:
            self._cluster.refuse(key.name, node)
        for item in todo.detach:
            # Nobody is to mount there what is about to go.
            await self._cluster.report(item.spec.node_name, (item.metadata.name,))
            await self._cluster.detach(item)
        for node in todo.attach:
            if volume is not None:
                await self._cluster.attach(volume, node)
        return Result(again_after=todo.again_after)
