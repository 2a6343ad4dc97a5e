"""Somebody who makes volumes for claims, and unmakes them, as external provisioners do."""

import asyncio
import contextlib

from grpc import aio

from pilothouse.ops.simulation.loop import VirtualClock
from pilothouse.services.machinery.errors import AlreadyExists, NotFound
from pilothouse.services.machinery.kinds import binding
from pilothouse.services.machinery.kinds.volumes import Claim, PersistentVolume
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import (
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    STORAGE_CLASSES,
)
from pilothouse.services.runtime.client.cache import Cache
from pilothouse.services.runtime.client.objects import Objects
from pilothouse.services.runtime.control.loop import DONE, Loop, Result
from pilothouse.services.runtime.control.queue import WorkQueue

NAME = "volumes.simulation"
CLASS_KEY = Key("", "")
CLASS = {
    "apiVersion": STORAGE_CLASSES.api_version,
    "kind": STORAGE_CLASSES.kind,
    "metadata": {"name": "made", "annotations": {binding.DEFAULT_CLASS: "true"}},
    "provisioner": NAME,
}


class Provisioner:
    """A key with a namespace is a claim's, one without a volume's; the empty one the class's."""

    name = "provisioner"

    def __init__(
        self, objects: Objects, claims: Cache[Claim], volumes: Cache[PersistentVolume]
    ) -> None:
        self._objects = objects
        self._claims = claims
        self._volumes = volumes

    async def reconcile(self, key: Key) -> Result:
        if key == CLASS_KEY:
            with contextlib.suppress(AlreadyExists):
                await self._objects.create(STORAGE_CLASSES, "", CLASS)
        elif key.namespace:
            await self._make(key)
        else:
            await self._unmake(key)
        return DONE

    async def _make(self, key: Key) -> None:
        claim = self._claims.get(key)
        if claim is None or claim.spec.volume_name or claim.metadata.deleting:
            return
        if claim.metadata.annotations.get(binding.STORAGE_PROVISIONER) != NAME:
            return
        name = f"pvc-{claim.metadata.uid}"
        named = {"namespace": key.namespace, "name": key.name, "uid": claim.metadata.uid}
        body = {
            "apiVersion": PERSISTENT_VOLUMES.api_version,
            "kind": PERSISTENT_VOLUMES.kind,
            "metadata": {"name": name, "annotations": {binding.PROVISIONED_BY: NAME}},
            "spec": {
                "accessModes": list(claim.spec.access_modes),
                "capacity": dict(claim.spec.resources.requests),
                "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **named},
                "persistentVolumeReclaimPolicy": "Delete",
                "storageClassName": binding.class_of(claim),
                "hostPath": {"path": f"/{name}"},
            },
        }
        with contextlib.suppress(AlreadyExists):
            await self._objects.create(PERSISTENT_VOLUMES, "", body)

    async def _unmake(self, key: Key) -> None:
        volume = self._volumes.get(key)
        if volume is None or volume.status.phase != "Released":
            return
        with contextlib.suppress(NotFound):
            await self._objects.delete(PERSISTENT_VOLUMES, key, uid=volume.metadata.uid)


async def provisioner(channel: aio.Channel, clock: VirtualClock, _: str) -> None:
    """Follow claims and volumes until cancelled; a Loop sees to it that all is tried again."""
    objects = Objects(channel)
    claims = Cache(objects, PERSISTENT_VOLUME_CLAIMS, Claim, clock=clock)
    volumes = Cache(objects, PERSISTENT_VOLUMES, PersistentVolume, clock=clock)
    queue: WorkQueue[Key] = WorkQueue()
    queue.add(CLASS_KEY)

    def changed(_: Claim | PersistentVolume | None, new: Claim | PersistentVolume | None) -> None:
        if new is not None:
            queue.add(new.metadata.key)

    claims.on_change(changed)
    volumes.on_change(changed)
    async with asyncio.TaskGroup() as group:
        group.create_task(claims.run())
        group.create_task(volumes.run())
        group.create_task(Loop(Provisioner(objects, claims, volumes), queue, workers=1).run())
