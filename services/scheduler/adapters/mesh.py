"""Binds and refuses through the API server, and tells people by events."""

from collections.abc import Sequence
from typing import Any

from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.errors import ApiError
from pilothouse.services.machinery.kinds import binding
from pilothouse.services.machinery.objects import Metadata
from pilothouse.services.machinery.resources import (
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
)
from pilothouse.services.runtime.client.events import Recorder, Reference
from pilothouse.services.runtime.client.objects import Birth, Objects
from pilothouse.services.runtime.clock import Clock
from pilothouse.services.scheduler.candidate import Candidate
from pilothouse.services.scheduler.volumechoice import Preparation


class MeshCluster:
    """The Cluster port over ``mesh.v1.Objects``."""

    def __init__(self, objects: Objects, events: Recorder, clock: Clock) -> None:
        self._objects = objects
        self._events = events
        self._clock = clock

    async def bind(self, pairs: Sequence[tuple[Candidate, str]]) -> Sequence[ApiError | None]:
        refusals = await self._objects.create_many([_binding(pod, node) for pod, node in pairs])
        for (pod, node), refusal in zip(pairs, refusals, strict=True):
            if refusal is None:
                message = f"Successfully assigned {pod.key} to {node}"
                self._events.note(_reference(pod), "Normal", "Scheduled", message)
        return refusals

    async def prepare(self, preparation: Preparation) -> None:
        for claim, volume in preparation.reserve:
            named = {
                "apiVersion": PERSISTENT_VOLUME_CLAIMS.api_version,
                "kind": PERSISTENT_VOLUME_CLAIMS.kind,
                "namespace": claim.metadata.namespace,
                "name": claim.metadata.name,
                "uid": claim.metadata.uid,
                "resourceVersion": claim.metadata.resource_version,
            }
            notes = {"annotations": {binding.BOUND_BY_CONTROLLER: binding.YES}}
            patch = {"metadata": {**_seen(volume.metadata), **notes}, "spec": {"claimRef": named}}
            await self._objects.patch(PERSISTENT_VOLUMES, volume.metadata.key, patch)
        for claim in preparation.select:
            notes = {"annotations": {binding.SELECTED_NODE: preparation.node}}
            patch = {"metadata": {**_seen(claim.metadata), **notes}}
            await self._objects.patch(PERSISTENT_VOLUME_CLAIMS, claim.metadata.key, patch)

    async def refuse(self, pod: Candidate, sentence: str) -> None:
        self._events.note(_reference(pod), "Warning", "FailedScheduling", sentence)
        condition = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": sentence,
            "lastTransitionTime": timestamps.render(self._clock.now()),
        }
        patch: dict[str, Any] = {
            "metadata": {"uid": pod.uid},
            "status": {"conditions": [condition]},
        }
        await self._objects.patch(PODS, pod.key, patch, subresource="status", strategic=True)


def _seen(metadata: Metadata) -> dict[str, Any]:
    return {"uid": metadata.uid, "resourceVersion": metadata.resource_version}


def _binding(pod: Candidate, node: str) -> Birth:
    key = pod.key
    body = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"namespace": key.namespace, "name": key.name, "uid": pod.uid},
        "target": {"apiVersion": "v1", "kind": "Node", "name": node},
    }
    return Birth(PODS, key.namespace, body, key.name, "binding")


def _reference(pod: Candidate) -> Reference:
    return Reference("Pod", pod.key.namespace, pod.key.name, pod.uid)
