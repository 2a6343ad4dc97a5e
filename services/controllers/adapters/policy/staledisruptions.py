"""Pods that were marked as going, and taking that back."""

import contextlib
from typing import Any

from pilothouse.services.controllers.adapters.world import Controller, World, controller
from pilothouse.services.controllers.policy import staledisruption
from pilothouse.services.controllers.policy.staledisruption import StaleDisruptionController
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.errors import NotFound
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import PODS
from pilothouse.services.runtime.control.queue import WorkQueue


class Marked:
    """What the controller of stale disruptions asks for."""

    def __init__(self, world: World) -> None:
        self._objects = world.objects
        self._clock = world.clock
        self._pods = world.cache(PODS, Pod)

    def pod(self, key: Key) -> Pod | None:
        return self._pods.get(key)

    def now(self) -> float:
        return self._clock.now()

    async def unmark(self, pod: Pod) -> None:
        metadata = pod.metadata
        told: dict[str, Any] = {
            "type": staledisruption.MARK,
            "status": "False",
            "reason": None,
            "message": None,
            "lastTransitionTime": timestamps.render(self._clock.now()),
        }
        patch = {
            "metadata": {"uid": metadata.uid, "resourceVersion": metadata.resource_version},
            "status": {"conditions": [told]},
        }
        with contextlib.suppress(NotFound):
            await self._objects.patch(
                PODS, metadata.key, patch, subresource="status", strategic=True
            )


def stale_disruptions(world: World) -> Controller:
    """The controller of stale disruptions, wired: few pods are marked, and only they cost."""
    found = world.cache(PODS, Pod)
    queue: WorkQueue[Key] = WorkQueue()

    def changed(_: Pod | None, new: Pod | None) -> None:
        if new is not None and staledisruption.seconds_left(new, 0.0) is not None:
            queue.add(new.metadata.key)

    found.on_change(changed)
    return controller(StaleDisruptionController(Marked(world)), queue, found)
