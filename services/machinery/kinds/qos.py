"""The quality of service of a pod, from the CPU and memory that it asks for."""

from typing import Any

_COMPUTE = ("cpu", "memory")


def of(spec: dict[str, Any]) -> str:
    """``Guaranteed``, ``Burstable`` or ``BestEffort``, for the JSON of a pod's spec."""
    own = spec.get("resources") or {}
    if _asked(own.get("requests")) or _asked(own.get("limits")):
        return _quality([own])
    return _quality(
        [
            container.get("resources") or {}
            for member in ("initContainers", "containers")
            for container in spec.get(member) or ()
        ]
    )


def _asked(amounts: dict[str, Any] | None) -> dict[str, Any]:
    """CPU and memory of a list, those of nothing left out."""
    found = amounts or {}
    return {name: found[name] for name in _COMPUTE if found.get(name) not in (None, "0", 0)}


def _quality(all_resources: list[dict[str, Any]]) -> str:
    guaranteed, anything = True, False
    for resources in all_resources:
        limits = _asked(resources.get("limits"))
        requests = {**limits, **_asked(resources.get("requests"))}
        anything = anything or bool(requests)
        guaranteed = guaranteed and len(limits) == len(_COMPUTE) and requests == limits
    if not anything:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"
