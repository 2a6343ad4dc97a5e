"""The quality of service of a pod, from the CPU and memory that it asks for."""

from typing import Any


def of(spec: dict[str, Any]) -> str:
    """``Guaranteed``, ``Burstable`` or ``BestEffort``, for the JSON of a pod's spec."""
    guaranteed, anything = True, False
    for member in ("initContainers", "containers"):
        for container in spec.get(member) or ():
            resources = container.get("resources") or {}
            limits = resources.get("limits") or {}
            requests = resources.get("requests") or {}
            for name in ("cpu", "memory"):
                limit, request = limits.get(name), requests.get(name, limits.get(name))
                anything = anything or bool(limit or request)
                guaranteed = guaranteed and bool(limit) and request == limit
    if not anything:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"
