"""Pods that ask for claims of their own, and those claims."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from pilothouse.services.controllers.adapters import wiring
from pilothouse.services.controllers.adapters.world import Controller, World, controller, reference
from pilothouse.services.controllers.storage.ephemeral import Birth, EphemeralVolumeController
from pilothouse.services.machinery.errors import AlreadyExists, ApiError
from pilothouse.services.machinery.kinds import volumes
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.kinds.volumes import Claim
from pilothouse.services.machinery.objects import Key, Viewed, owner_reference
from pilothouse.services.machinery.resources import PERSISTENT_VOLUME_CLAIMS, PODS
from pilothouse.services.runtime.control.queue import WorkQueue
from pilothouse.services.runtime.exposition import Family

CLAIM = "claim"
WORKERS = 5


class EphemeralVolumes:
    """What the controller of ephemeral volumes asks for."""

    def __init__(self, world: World) -> None:
        self.attempts = self.failures = 0
        self._objects = world.objects
        self._pods = world.cache(PODS, Pod)
        self._claims = world.cache(PERSISTENT_VOLUME_CLAIMS, Claim)
        self._recorder = world.recorder("ephemeral_volume")

    def find(self, key: Key) -> Pod | None:
        return self._pods.get(key)

    def claims(self, pod: Pod) -> Mapping[str, Viewed]:
        found = (self._claims.get(key) for key in volumes.claims_of(pod))
        return {item.metadata.name: item for item in found if item is not None}

    def say(self, pod: Pod, text: str) -> None:
        self._recorder.note(reference(PODS, pod.metadata), "Warning", "FailedBinding", text)

    async def create(self, pod: Pod, birth: Birth) -> None:
        self.attempts += 1
        try:
            namespace = pod.metadata.namespace
            await self._objects.create(PERSISTENT_VOLUME_CLAIMS, namespace, _body(pod, birth))
        except AlreadyExists:
            return  # whose it is is seen in a moment
        except ApiError as error:
            self.failures += 1
            text = f"create PVC {birth.name}: {error.message}"
            self.say(pod, f"ephemeral volume {birth.volume}: {text}")
            raise

    def measured(self) -> Iterator[Family]:
        head = "ephemeral_volume_controller_create"
        tried = Family(f"{head}_total", "counter", "Claims that were to be made for pods.")
        tried.add(self.attempts)
        failed = Family(f"{head}_failures_total", "counter", "Those that could not be made.")
        failed.add(self.failures)
        return iter((tried, failed))


def _body(pod: Pod, birth: Birth) -> dict[str, Any]:
    template: dict[str, Any] = msgspec.json.decode(birth.template)
    told = template.get("metadata") or {}
    metadata = {key: told[key] for key in ("labels", "annotations") if told.get(key)}
    owner = owner_reference(PODS, pod.metadata)
    return {
        "apiVersion": PERSISTENT_VOLUME_CLAIMS.api_version,
        "kind": PERSISTENT_VOLUME_CLAIMS.kind,
        "metadata": {**metadata, "name": birth.name, "ownerReferences": [owner]},
        "spec": template.get("spec") or {},
    }


def ephemeral(world: World) -> Controller:
    """The controller, wired: it hears of pods with such volumes, and of claims that go."""
    pods = world.cache(PODS, Pod)
    claims = world.cache(PERSISTENT_VOLUME_CLAIMS, Claim)
    pods.add_index(CLAIM, lambda pod: map(str, volumes.claims_of(pod)))
    queue: WorkQueue[Key] = WorkQueue()

    def pod_changed(_: Pod | None, new: Pod | None) -> None:
        if new is not None and _asks(new):
            queue.add(new.metadata.key)

    def claim_changed(old: Claim | None, new: Claim | None) -> None:
        if new is None and old is not None:
            for pod in pods.by_index(CLAIM, str(old.metadata.key)):
                pod_changed(None, pod)

    pods.on_change(pod_changed)
    claims.on_change(claim_changed)
    claims.on_change(wiring.its_controller(queue, PODS))
    cluster = EphemeralVolumes(world)
    made = controller(EphemeralVolumeController(cluster), queue, pods, workers=WORKERS)

    def keys() -> list[Key]:
        return [pod.metadata.key for pod in pods.values() if _asks(pod)]

    return replace(made, keys=keys, measured=cluster.measured)


def _asks(pod: Pod) -> bool:
    return any(volume.ephemeral is not None for volume in pod.spec.volumes)
