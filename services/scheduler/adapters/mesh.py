"""Binds and refuses through the API server, and tells people by events."""

from collections.abc import Sequence
from typing import Any

from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.errors import ApiError
from pilothouse.services.machinery.resources import PODS
from pilothouse.services.runtime.client.events import Recorder, Reference
from pilothouse.services.runtime.client.objects import Birth, Objects
from pilothouse.services.runtime.clock import Clock
from pilothouse.services.scheduler.candidate import Candidate


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
