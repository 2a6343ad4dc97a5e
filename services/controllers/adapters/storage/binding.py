"""Claims, volumes and classes, and the writes that bind them to each other."""

import asyncio
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from pilothouse.services.controllers.adapters import wiring
from pilothouse.services.controllers.adapters.removal import remove
from pilothouse.services.controllers.adapters.storage import bindingmeasures
from pilothouse.services.controllers.adapters.storage.newest import Newest
from pilothouse.services.controllers.adapters.world import Controller, World, reference
from pilothouse.services.controllers.storage.binder import Binder
from pilothouse.services.controllers.storage.pairing import claiming, reclaiming
from pilothouse.services.controllers.storage.pairing.claiming import Observed, Say
from pilothouse.services.controllers.storage.pairing.reclaiming import Act
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.errors import NotFound
from pilothouse.services.machinery.kinds import binding, volumes
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.kinds.volumes import Claim, PersistentVolume, StorageClass
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import (
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    STORAGE_CLASSES,
)
from pilothouse.services.runtime.client.cache import Cache
from pilothouse.services.runtime.control.loop import Loop
from pilothouse.services.runtime.control.queue import WorkQueue

FREE = "free"
WAITING = "waiting"
CLAIM = "claim"
_CLAIM = msgspec.json.Decoder(Claim)


class Volumes:
    """What the binder asks for."""

    def __init__(self, world: World, queue: WorkQueue[Key], *, provision: bool) -> None:
        self._objects = world.objects
        self._clock = world.clock
        self._queue = queue
        self._provision = provision
        self._claim_cache = world.cache(PERSISTENT_VOLUME_CLAIMS, Claim)
        self._volume_cache = world.cache(PERSISTENT_VOLUMES, PersistentVolume)
        self._claims = Newest(self._claim_cache, Claim)
        self._volumes = Newest(self._volume_cache, PersistentVolume)
        self._classes = world.cache(STORAGE_CLASSES, StorageClass)
        self._pods = world.cache(PODS, Pod)
        self._recorder = world.recorder("persistentvolume-controller")

    def claim(self, key: Key) -> Claim | None:
        return self._claims.get(key)

    def volume(self, name: str) -> PersistentVolume | None:
        return self._volumes.get(Key("", name))

    def observe(self, claim: Claim) -> Observed:
        name = claim.spec.volume_name
        if name or binding.is_complete(claim):
            return Observed(self.volume(name) if name else None)
        chosen = binding.class_of(claim)
        near = [
            *self._volume_cache.by_index(FREE, f"class {chosen}"),
            *self._volume_cache.by_index(FREE, str(claim.metadata.key)),
        ]
        return Observed(
            near=list(self._volumes.of(near)),
            storage_class=self._classes.get(Key("", chosen)) if chosen else None,
            default=binding.default_class(self._classes.values()),
            waiting=tuple(self._waiting(claim)),
            provision=self._provision,
        )

    def _waiting(self, claim: Claim) -> Iterator[str]:
        for pod in self._pods.by_index(CLAIM, str(claim.metadata.key)):
            if not pod.spec.node_name and not pod.metadata.deleting:
                yield pod.metadata.name

    def say(self, about: Claim | PersistentVolume, say: Say) -> None:
        kind = PERSISTENT_VOLUME_CLAIMS if isinstance(about, Claim) else PERSISTENT_VOLUMES
        self._recorder.note(reference(kind, about.metadata), say.type, say.reason, say.message)

    async def held(self, name: str) -> tuple[PersistentVolume | None, Claim | None]:
        volume = self.volume(name)
        return volume, None if volume is None else await self._claimant(volume)

    async def _claimant(self, volume: PersistentVolume) -> Claim | None:
        wanted = volume.spec.claim_ref
        if wanted is None or not wanted.uid:
            return None
        found = self._claims.get(wanted.key)
        if found is not None and found.metadata.uid == wanted.uid:
            return found
        # What goes with the claim does not come back: nobody is taken for gone by an old cache.
        try:
            found = _CLAIM.decode(await self._objects.get(PERSISTENT_VOLUME_CLAIMS, wanted.key))
        except NotFound:
            return None
        return found if found.metadata.uid == wanted.uid else None

    async def bind(self, claim: Claim, volume: PersistentVolume) -> None:
        todo = claiming.steps(claim, volume)
        if todo.reserve:
            volume = await self._reserve(claim, volume, by_us=todo.volume_by_us)
        if todo.volume_phase:
            await self._tell_volume(volume, claiming.BOUND, "")
        if todo.complete:
            claim = await self._complete(claim, volume, by_us=todo.claim_by_us)
        if todo.claim_status:
            await self._tell_claim(claim, _bound_status(claim, volume))

    async def _reserve(
        self, claim: Claim, volume: PersistentVolume, *, by_us: bool
    ) -> PersistentVolume:
        metadata = claim.metadata
        named = {
            "apiVersion": PERSISTENT_VOLUME_CLAIMS.api_version,
            "kind": PERSISTENT_VOLUME_CLAIMS.kind,
            "namespace": metadata.namespace,
            "name": metadata.name,
            "uid": metadata.uid,
            "resourceVersion": metadata.resource_version,
        }
        notes = {"annotations": {binding.BOUND_BY_CONTROLLER: binding.YES}} if by_us else {}
        return await self._patch_volume(volume, notes, {"claimRef": named})

    async def _complete(self, claim: Claim, volume: PersistentVolume, *, by_us: bool) -> Claim:
        notes = {binding.BIND_COMPLETED: binding.YES}
        if by_us:
            notes[binding.BOUND_BY_CONTROLLER] = binding.YES
        spec = {"volumeName": volume.metadata.name}
        return await self._patch_claim(claim, {"annotations": notes}, spec)

    async def tell(self, claim: Claim, plan: claiming.Plan) -> None:
        if plan.storage_class:
            await self._patch_claim(claim, {}, {"storageClassName": plan.storage_class})
            self._queue.add(claim.metadata.key)
            return
        if plan.provisioner:
            keys = (binding.STORAGE_PROVISIONER, binding.BETA_STORAGE_PROVISIONER)
            notes = dict.fromkeys(keys, plan.provisioner)
            claim = await self._patch_claim(claim, {"annotations": notes}, {})
        if plan.phase:
            await self._tell_claim(claim, {"phase": plan.phase})

    async def apply(self, volume: PersistentVolume, plan: reclaiming.Plan) -> None:
        if plan.act is Act.UNBIND:
            gone = None if plan.forget else {"uid": None, "resourceVersion": None}
            notes = {"annotations": {binding.BOUND_BY_CONTROLLER: None}} if plan.forget else {}
            volume = await self._patch_volume(volume, notes, {"claimRef": gone})
        if plan.phase and plan.phase != volume.status.phase:
            await self._tell_volume(volume, plan.phase, plan.message)
        if plan.act is Act.DELETE and volume.spec.host_path is not None:
            await asyncio.to_thread(_clear, Path(volume.spec.host_path.path))
            await remove(self._objects, PERSISTENT_VOLUMES, volume.metadata)
        if plan.wake and volume.spec.claim_ref is not None:
            self._queue.add(volume.spec.claim_ref.key)

    async def _patch_volume(
        self, volume: PersistentVolume, metadata: dict[str, Any], spec: dict[str, Any]
    ) -> PersistentVolume:
        patch = {"metadata": {**_seen(volume), **metadata}, "spec": spec}
        answer = await self._objects.patch(PERSISTENT_VOLUMES, volume.metadata.key, patch)
        return self._volumes.wrote(answer)

    async def _tell_volume(self, volume: PersistentVolume, phase: str, message: str) -> None:
        status = {
            "phase": phase,
            "message": message or None,
            "lastPhaseTransitionTime": timestamps.render(self._clock.now()),
        }
        patch = {"metadata": {"uid": volume.metadata.uid}, "status": status}
        answer = await self._objects.patch(
            PERSISTENT_VOLUMES, volume.metadata.key, patch, subresource="status"
        )
        self._volumes.wrote(answer)

    async def _patch_claim(
        self, claim: Claim, metadata: dict[str, Any], spec: dict[str, Any]
    ) -> Claim:
        patch = {"metadata": {**_seen(claim), **metadata}, "spec": spec}
        answer = await self._objects.patch(PERSISTENT_VOLUME_CLAIMS, claim.metadata.key, patch)
        return self._claims.wrote(answer)

    async def _tell_claim(self, claim: Claim, status: dict[str, Any]) -> None:
        patch = {"metadata": {"uid": claim.metadata.uid}, "status": status}
        answer = await self._objects.patch(
            PERSISTENT_VOLUME_CLAIMS, claim.metadata.key, patch, subresource="status"
        )
        self._claims.wrote(answer)


def _seen(item: Claim | PersistentVolume) -> dict[str, str]:
    return {"uid": item.metadata.uid, "resourceVersion": item.metadata.resource_version}


def _bound_status(claim: Claim, volume: PersistentVolume) -> dict[str, Any]:
    """A claim that is bound already may be smaller than its volume while a file system grows."""
    status: dict[str, Any] = {
        "phase": claiming.BOUND,
        "accessModes": list(volume.spec.access_modes),
    }
    if claim.status.phase != claiming.BOUND:
        status["capacity"] = dict(volume.spec.capacity)
        attributes = volume.spec.volume_attributes_class_name
        status["currentVolumeAttributesClassName"] = attributes or None
    return status


def _clear(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)


def _free(volume: PersistentVolume) -> Iterable[str]:
    key = binding.key_of(volume)
    return (f"class {binding.class_of(volume)}" if key is None else str(key),)


def _waiting_for(claim: Claim) -> Iterable[str]:
    if binding.is_complete(claim):
        return ()
    return (f"volume {claim.spec.volume_name}", f"class {binding.class_of(claim)}")


class _Wakes:
    """Who is looked at when something changes."""

    def __init__(
        self, queue: WorkQueue[Key], claims: Cache[Claim], held: Cache[PersistentVolume]
    ) -> None:
        self._queue = queue
        self._claims = claims
        self._held = held

    def claim(self, old: Claim | None, new: Claim | None) -> None:
        item = new if new is not None else old
        if item is None:
            return
        if item.spec.volume_name:
            self._queue.add(Key("", item.spec.volume_name))
        if new is None:
            for volume in self._held.by_index(FREE, str(item.metadata.key)):
                self._queue.add(volume.metadata.key)

    def volume(self, old: PersistentVolume | None, new: PersistentVolume | None) -> None:
        item = new if new is not None else old
        if item is None:
            return
        if (key := binding.key_of(item)) is not None:
            self._queue.add(key)
        self._waiting(f"volume {item.metadata.name}")
        if new is not None and new.spec.claim_ref is None:
            self._waiting(f"class {binding.class_of(new)}")

    def storage_class(self, _: StorageClass | None, new: StorageClass | None) -> None:
        """It may have become the one of claims that name none."""
        if new is not None:
            self._waiting(f"class {new.metadata.name}")
            self._waiting("class ")

    def _waiting(self, what: str) -> None:
        for claim in self._claims.by_index(WAITING, what):
            self._queue.add(claim.metadata.key)


def binder(world: World, *, provision: bool = True) -> Controller:
    """The binder, wired: claims and volumes wake each other, and classes those that name them."""
    claims = world.cache(PERSISTENT_VOLUME_CLAIMS, Claim)
    held = world.cache(PERSISTENT_VOLUMES, PersistentVolume)
    classes = world.cache(STORAGE_CLASSES, StorageClass)
    world.cache(PODS, Pod).add_index(CLAIM, lambda pod: map(str, volumes.claims_of(pod)))
    claims.add_index(WAITING, _waiting_for)
    held.add_index(FREE, _free)
    queue: WorkQueue[Key] = WorkQueue()
    wakes = _Wakes(queue, claims, held)
    claims.on_change(wiring.itself(queue))
    claims.on_change(wakes.claim)
    held.on_change(wiring.itself(queue))
    held.on_change(wakes.volume)
    classes.on_change(wakes.storage_class)
    # One worker: two that choose at once only get in each other's way.
    loop = Loop(Binder(Volumes(world, queue, provision=provision)), queue, workers=1)
    return Controller(
        loop,
        keys=lambda: [*_keys(claims), *_keys(held)],
        measured=lambda: bindingmeasures.families(claims.values(), held.values()),
    )


def _keys(cache: Cache[Any]) -> list[Key]:
    return [item.metadata.key for item in cache.values()]
