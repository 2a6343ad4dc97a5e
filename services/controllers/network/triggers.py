"""When that happened which endpoints were last written for: how long they take can be measured.

It is the earliest of what changed since the last look: the birth of the Service, or a pod that
became ready or unready.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from pilothouse.services.machinery import conditions
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.kinds.services import Service
from pilothouse.services.machinery.objects import Key

ANNOTATION = "endpoints.kubernetes.io/last-change-trigger-time"


@dataclass(slots=True)
class Triggers:
    """What was seen of each Service and its pods at the last look; times are RFC 3339 text."""

    _seen: dict[Key, dict[str, str]] = field(default_factory=dict)

    def look(self, service: Service, found: Iterable[Pod]) -> str | None:
        """What the annotation is to say if something is written now; None for nothing."""
        born = service.metadata.creation_timestamp
        before = self._seen.get(service.metadata.key)
        now = {
            pod.metadata.name: ready.last_transition_time
            for pod in found
            if (ready := conditions.find(pod.status.conditions, "Ready")) is not None
            and ready.last_transition_time is not None
        }
        if born is not None:
            now[""] = born
        self._seen[service.metadata.key] = now
        if before is None:
            return born
        return min((at for name, at in now.items() if at > before.get(name, "")), default=None)

    def forget(self, key: Key) -> None:
        """The Service is gone."""
        self._seen.pop(key, None)
