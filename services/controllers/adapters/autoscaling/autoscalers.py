"""HorizontalPodAutoscalers, the scales of their targets, and the pods behind those."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec

from pilothouse.services.controllers.adapters import indexes
from pilothouse.services.controllers.adapters.autoscaling.measures import (
    AutoscalerMeasures,
    TimedLooks,
)
from pilothouse.services.controllers.adapters.autoscaling.metrics import Metrics
from pilothouse.services.controllers.adapters.scales import Scales
from pilothouse.services.controllers.adapters.world import (
    Controller,
    World,
    controller,
    reference,
)
from pilothouse.services.controllers.autoscaling.horizontalpodautoscaler import (
    HorizontalPodAutoscalerController,
)
from pilothouse.services.controllers.autoscaling.sizes.proposals import Reading
from pilothouse.services.controllers.autoscaling.sizes.rates import History
from pilothouse.services.controllers.autoscaling.sizes.target import Found
from pilothouse.services.controllers.autoscaling.sizes.verdict import Note, Past, Plan, Settings
from pilothouse.services.machinery import conditions, labels
from pilothouse.services.machinery.errors import ApiError, BadRequest, NotFound
from pilothouse.services.machinery.kinds.autoscaling import (
    HorizontalPodAutoscaler,
    Reference,
    Scale,
    Status,
)
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.labels import Selector
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import (
    HORIZONTAL_POD_AUTOSCALERS,
    PODS,
    Resource,
)
from pilothouse.services.runtime.control.queue import WorkQueue

Selectors = dict[Key, Selector]


class Autoscalers:
    """What the autoscaler asks for; ``metrics`` reads them."""

    def __init__(self, world: World, metrics: Metrics, settings: Settings) -> None:
        self._objects = world.objects
        self._clock = world.clock
        self._recorder = world.recorder("horizontal-pod-autoscaler")
        self._metrics = metrics
        self._settings = settings
        self._cache = world.cache(HORIZONTAL_POD_AUTOSCALERS, HorizontalPodAutoscaler)
        self._pods = world.cache(PODS, Pod)
        self._scales = Scales(world)
        self._histories: dict[Key, History] = {}
        self._selectors = Selectors()
        self.measures = AutoscalerMeasures(lambda: len(self._cache.values()))
        indexes.add_namespace(self._pods)

    def find(self, key: Key) -> HorizontalPodAutoscaler | None:
        found = self._cache.get(key)
        if found is None:
            self._histories.pop(key, None)
            self._selectors.pop(key, None)
            self.measures.forget(key)
        return found

    async def target(self, autoscaler: HorizontalPodAutoscaler) -> Found:
        key, aim = autoscaler.metadata.key, autoscaler.spec.scale_target_ref
        self._selectors.pop(key, None)
        resource = self._resource(aim)
        if resource is None:
            group = aim.api_version.rpartition("/")[0]
            return Found(None, error=f'no matches for kind "{aim.kind}" in group "{group}"')
        try:
            scale = await self._scales.read(resource, Key(key.namespace, aim.name))
        except ApiError as error:
            return Found(None, error=error.message)
        if not scale.status.selector:
            return Found(scale)
        try:
            wanted = labels.parse(scale.status.selector)
        except BadRequest as error:
            return Found(scale, unreadable=error.message)
        self._selectors[key] = wanted
        beside = self._pods.by_index(indexes.NAMESPACE, key.namespace)
        pods = [pod for pod in beside if wanted.matches(pod.metadata.labels)]
        return Found(scale, pods, selecting=self._selecting(key.namespace, pods))

    async def read(self, autoscaler: HorizontalPodAutoscaler, scale: Scale) -> Sequence[Reading]:
        namespace, selector = autoscaler.metadata.namespace, scale.status.selector
        metrics = autoscaler.spec.metrics or ()
        return [await self._metrics.read(metric, namespace, selector) for metric in metrics]

    def past(self, key: Key) -> Past:
        history = self._histories.get(key, History())
        return Past(history, self._settings, self._clock.now())

    def remember(self, key: Key, history: History) -> None:
        self._histories[key] = history

    async def rescale(self, autoscaler: HorizontalPodAutoscaler, todo: Plan) -> ApiError | None:
        aim = autoscaler.spec.scale_target_ref
        resource = self._resource(aim)
        if resource is None:
            return NotFound(f'no matches for kind "{aim.kind}"')
        key = Key(autoscaler.metadata.namespace, aim.name)
        patch = {"spec": {"replicas": todo.replicas}}
        try:
            await self._objects.patch(resource, key, patch, subresource="scale")
        except ApiError as error:
            return error
        before = todo.status.current_replicas
        self.measures.acted(autoscaler.metadata.key, before, todo.replicas or 0)
        return None

    async def write(
        self, autoscaler: HorizontalPodAutoscaler, status: Status, notes: Sequence[Note]
    ) -> None:
        metadata = autoscaler.metadata
        about = reference(HORIZONTAL_POD_AUTOSCALERS, metadata)
        self.measures.told(metadata.key, status.desired_replicas, notes)
        for note in notes:
            self._recorder.note(about, note.type, note.reason, note.message)
        if status == autoscaler.status:
            return
        patch = {"metadata": {"uid": metadata.uid}, "status": _rendered(status)}
        await self._objects.patch(
            HORIZONTAL_POD_AUTOSCALERS, metadata.key, patch, subresource="status"
        )

    def _resource(self, aim: Reference) -> Resource | None:
        return self._scales.resource(aim.api_version, aim.kind)

    def _selecting(self, namespace: str, pods: Sequence[Pod]) -> tuple[Key, ...]:
        near = {
            key: wanted
            for key, wanted in self._selectors.items()
            if key.namespace == namespace and self._cache.get(key) is not None
        }
        return tuple(
            key
            for key, wanted in near.items()
            if any(wanted.matches(pod.metadata.labels) for pod in pods)
        )


def _rendered(status: Status) -> dict[str, Any]:
    """As the API spells it; what is not said goes."""
    current = [_filled(msgspec.to_builtins(item)) for item in status.current_metrics or ()]
    rendered = {
        "lastScaleTime": status.last_scale_time,
        "currentReplicas": status.current_replicas or None,
        "desiredReplicas": status.desired_replicas,
        "currentMetrics": current or None,
        "conditions": [conditions.rendered(item) for item in status.conditions or ()] or None,
    }
    if status.observed_generation:
        rendered["observedGeneration"] = status.observed_generation
    return rendered


def _filled(value: Any) -> Any:
    """Without what is not said; ``current`` stays even where it says nothing."""
    if not isinstance(value, dict):
        return value
    filled = {name: _filled(item) for name, item in value.items()}
    return {
        name: item
        for name, item in filled.items()
        if name == "current" or item not in (None, "", [], (), {})
    }


def autoscaler(world: World, metrics: Metrics, settings: Settings) -> Controller:
    """The HorizontalPodAutoscaler controller, wired: it looks when told otherwise, and in turn."""
    cluster = Autoscalers(world, metrics, settings)
    found = world.cache(HORIZONTAL_POD_AUTOSCALERS, HorizontalPodAutoscaler)
    queue: WorkQueue[Key] = WorkQueue()

    def changed(old: HorizontalPodAutoscaler | None, new: HorizontalPodAutoscaler | None) -> None:
        if new is None:
            if old is not None:
                queue.add(old.metadata.key)
        elif old is None or old.spec != new.spec or old.metadata.uid != new.metadata.uid:
            queue.add(new.metadata.key)

    found.on_change(changed)
    timed = TimedLooks(HorizontalPodAutoscalerController(cluster), cluster.measures)
    return replace(controller(timed, queue, found), measured=cluster.measures.families)
