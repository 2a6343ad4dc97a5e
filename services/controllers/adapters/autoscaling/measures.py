"""What is counted of autoscalers, under the names that Kubernetes gives it."""

import asyncio
from collections.abc import Callable, Iterable, Iterator

from pilothouse.services.controllers.autoscaling.sizes.verdict import Note
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import Reconciler, Result
from pilothouse.services.runtime.control.measures import Spans
from pilothouse.services.runtime.exposition import Family

BOUNDS = tuple(0.001 * 2**power for power in range(15))
"""Seconds, as upstream's."""

_PREFIX = "horizontal_pod_autoscaler_controller_"
_NONE = "none"
_INVALID = "InvalidMetricSourceType"
"""The only failure that the autoscaler's own spec is to blame for."""


class AutoscalerMeasures:
    """``known`` tells how many autoscalers there are."""

    def __init__(self, known: Callable[[], int]) -> None:
        self._known = known
        self._acts: dict[Key, str] = {}
        self._errors: dict[Key, str] = {}
        self._desired: dict[Key, int] = {}
        self._looks: dict[tuple[str, str], Spans] = {}

    def acted(self, key: Key, before: int, after: int) -> None:
        """The target's replicas were set."""
        self._acts[key] = "scale_up" if after > before else "scale_down"

    def told(self, key: Key, desired: int, notes: Iterable[Note]) -> None:
        """What the status says was decided, and what people were told."""
        self._desired[key] = desired
        reasons = [note.reason for note in notes if note.type == "Warning"]
        if reasons:
            self._errors[key] = "spec" if reasons[0] == _INVALID else "internal"

    def forget(self, key: Key) -> None:
        """The autoscaler is gone."""
        self._desired.pop(key, None)

    def looked(self, key: Key, seconds: float) -> None:
        """A look at it is over."""
        labels = (self._acts.pop(key, _NONE), self._errors.pop(key, _NONE))
        self._looks.setdefault(labels, Spans(BOUNDS)).observe(seconds)

    def families(self) -> Iterator[Family]:
        """Upstream's, but for those of each metric alone."""
        total = Family(f"{_PREFIX}reconciliations_total", "counter", "Looks at autoscalers.")
        spans = Family(
            f"{_PREFIX}reconciliation_duration_seconds", "histogram", "How long a look took."
        )
        for (action, error), each in sorted(self._looks.items()):
            labels = (("action", action), ("error", error))
            total.add(sum(each.counts), *labels)
            spans.observe(BOUNDS, each.counts, each.total, labels)
        desired = Family(f"{_PREFIX}desired_replicas", "gauge", "Replicas that were decided on.")
        for key, count in sorted(self._desired.items()):
            desired.add(count, ("hpa_name", key.name), ("namespace", key.namespace))
        number = Family(f"{_PREFIX}num_horizontal_pod_autoscalers", "gauge", "Autoscalers.")
        return iter((total, spans, desired, number.add(self._known())))


class TimedLooks:
    """An autoscaler's controller whose looks are counted."""

    def __init__(self, inner: Reconciler, measures: AutoscalerMeasures) -> None:
        self.name = inner.name
        self._inner = inner
        self._measures = measures

    async def reconcile(self, key: Key) -> Result:
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            return await self._inner.reconcile(key)
        finally:
            self._measures.looked(key, clock() - began)
