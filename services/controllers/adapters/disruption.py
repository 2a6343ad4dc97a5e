"""Saying on a pod that it goes because of something else than itself."""

from typing import Any

from pilothouse.services.machinery import conditions
from pilothouse.services.machinery.conditions import Condition
from pilothouse.services.machinery.errors import NotFound
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.resources import PODS
from pilothouse.services.runtime.client.objects import Objects


async def disrupt(
    objects: Objects, pod: Pod, now: float, reason: str, message: str, *, phase: str | None = None
) -> None:
    """Write the condition DisruptionTarget, and ``phase`` where given; a pod gone is well."""
    said = Condition(type="DisruptionTarget", status="True", reason=reason, message=message)
    old = conditions.find(pod.status.conditions, said.type)
    rendered = conditions.render(said, old, now)
    if pod.metadata.generation:
        rendered["observedGeneration"] = pod.metadata.generation
    status: dict[str, Any] = {"conditions": [rendered]}
    if phase is not None:
        status["phase"] = phase
    patch = {"metadata": {"uid": pod.metadata.uid}, "status": status}
    try:
        await objects.patch(PODS, pod.metadata.key, patch, subresource="status", strategic=True)
    except NotFound:
        return
