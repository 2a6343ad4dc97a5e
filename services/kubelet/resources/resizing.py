"""Other resources for a container that runs: what changed, and whether the node can give it. Pure.

What is in force is remembered by container; after a restart of the kubelet the pod's status says
it. A pod that does not fit waits (``Deferred``) or never will (``Infeasible``).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from pilothouse.services.kubelet.pod.observed import Observed, Trouble
from pilothouse.services.kubelet.pod.views import Container, Pod
from pilothouse.services.kubelet.resources import amounts
from pilothouse.services.machinery import quantity
from pilothouse.services.machinery.conditions import Condition
from pilothouse.services.machinery.errors import Conflict
from pilothouse.services.machinery.kinds.pods import Resources

PENDING, IN_PROGRESS = "PodResizePending", "PodResizeInProgress"
CONDITIONS = (PENDING, IN_PROGRESS)
DEFERRED, INFEASIBLE = "Deferred", "Infeasible"
RETRY_SECONDS = 10.0
_COUNTED = ("cpu", "memory")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why the resources asked for can not be had; nothing where they can."""

    reason: str = ""
    message: str = ""


GRANTED = Verdict()


def changed(spec: Container, in_force: Resources | None) -> frozenset[str]:
    """``cpu`` and ``memory``, as far as the spec asks for something else than is in force."""
    if in_force is None:
        return frozenset()
    return frozenset(
        name
        for name in _COUNTED
        for field in ("requests", "limits")
        if _amount(getattr(spec.resources, field), name) != _amount(getattr(in_force, field), name)
    )


def restarts(spec: Container, names: frozenset[str]) -> bool:
    """Whether the container restarts for these resources."""
    return any(
        policy.resource_name in names and policy.restart_policy == "RestartContainer"
        for policy in spec.resize_policy
    )


def is_wanted(pod: Pod, observed: Observed, in_force: Mapping[str, Resources]) -> bool:
    """Whether any running container is to have other resources."""
    for spec in (*pod.spec.init_containers, *pod.spec.containers):
        current = observed.current(spec.name)
        if current is None or current.state != "running":
            continue
        if changed(spec, in_force.get(current.id)):
            return True
    return False


FIXED = Verdict(
    INFEASIBLE,
    "Resize is infeasible for Guaranteed Pods alongside CPU Manager static policy",
)


def check_memory(name: str, limit: int, used: int) -> None:
    """Conflict where a container has more than it is to have: the kernel would end it."""
    if 0 < limit < used:
        told = f'"{name}" memory limit ({limit}) below current usage ({used})'
        raise Conflict(f"attempting to set container {told}")


def judge(pod: Pod, allocatable: Mapping[str, str], others: Iterable[Pod]) -> Verdict:
    """Whether the node can give the pod what it asks for, beside ``others``."""
    wanted = requested(pod)
    capacity = {name: _amount(allocatable, name) for name in _COUNTED}
    for name in _COUNTED:
        if wanted[name] > capacity[name]:
            told = f"requested: {wanted[name]}, capacity: {capacity[name]}"
            return Verdict(INFEASIBLE, f"Node didn't have enough capacity: {name}, {told}")
    used = dict.fromkeys(_COUNTED, 0)
    for other in others:
        for name, amount in requested(other).items():
            used[name] += amount
    for name in _COUNTED:
        if wanted[name] + used[name] > capacity[name]:
            told = f"requested: {wanted[name]}, used: {used[name]}, capacity: {capacity[name]}"
            return Verdict(DEFERRED, f"Node didn't have enough resource: {name}, {told}")
    return GRANTED


def requested(pod: Pod) -> dict[str, int]:
    """What the pod requests, overhead included: thousandths of CPU, bytes of memory."""
    found = amounts.of_pod(pod, "requests")
    return {name: found.get(name, 0) for name in _COUNTED}


def recorded(pod: Pod, name: str, id_: str) -> Resources | None:
    """What the status says is in force for this very container."""
    entry = pod.recorded(name)
    if not str(entry.get("containerID", "")).endswith(id_) or "resources" not in entry:
        return None
    return msgspec.convert(entry["resources"], Resources)


def told(spec: Container, in_force: Resources | None) -> dict[str, Any]:
    """``resources`` and ``allocatedResources`` of a container's status."""
    shown = spec.resources if in_force is None else in_force
    entry: dict[str, Any] = {
        "resources": {
            field: dict(value)
            for field in ("limits", "requests")
            if (value := getattr(shown, field))
        }
    }
    if shown.requests:
        entry["allocatedResources"] = dict(shown.requests)
    return entry


def conditions(
    pod: Pod,
    observed: Observed,
    in_force: Mapping[str, Resources],
    verdict: Verdict,
    trouble: Trouble | None = None,
) -> list[Condition]:
    """What is told of a resize that has not happened; ``trouble``: what keeps it from that."""
    if not is_wanted(pod, observed, in_force):
        return []
    if verdict.reason:
        reason, message = verdict.reason, verdict.message
        return [Condition(type=PENDING, status="True", reason=reason, message=message)]
    reason, message = (trouble.reason, trouble.message) if trouble is not None else ("", "")
    return [Condition(type=IN_PROGRESS, status="True", reason=reason, message=message)]


def _amount(amounts: Mapping[str, str | int | float], name: str) -> int:
    value = amounts.get(name, 0)
    return quantity.milli(value) if name == "cpu" else quantity.ceiling(value)
