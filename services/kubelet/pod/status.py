"""A pod's ``status``: phase, conditions, addresses, containers. Pure; the kubelet writes it."""

from dataclasses import dataclass
from typing import Any

from pilothouse.services.kubelet.pod import container_status
from pilothouse.services.kubelet.pod.lifecycle import (
    TERMINAL,
    is_finished,
    is_overdue,
    pending_init,
)
from pilothouse.services.kubelet.pod.observed import Known, Observed
from pilothouse.services.kubelet.pod.views import Container as Spec
from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.kubelet.resources import resizing
from pilothouse.services.kubelet.resources.qos import qos_class
from pilothouse.services.machinery import conditions, timestamps
from pilothouse.services.machinery.conditions import Condition

READY_TO_START = "PodReadyToStartContainers"
OURS = (READY_TO_START, "Initialized", "Ready", "ContainersReady", "PodScheduled")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the pod is: the node's address."""

    host_ip: str


def render(pod: Pod, observed: Observed, known: Known, place: Place, now: float) -> dict[str, Any]:
    """The whole status; conditions that are not the kubelet's are not in it."""
    inits = [
        container_status.render(pod, spec, observed, known, now)
        for spec in pod.spec.init_containers
    ]
    mains = [
        container_status.render(pod, spec, observed, known, now) for spec in pod.spec.containers
    ]
    phase = _phase(pod, observed, mains, now)
    status: dict[str, Any] = {
        "phase": phase,
        "conditions": _conditions(pod, observed, known, phase, inits + mains, now),
        "hostIP": place.host_ip,
        "hostIPs": [{"ip": place.host_ip}],
        "startTime": pod.status.get("startTime") or timestamps.render(now),
        "containerStatuses": mains,
        "qosClass": pod.status.get("qosClass") or qos_class(pod),
        **_addresses(pod, observed, place),
    }
    if inits:
        status["initContainerStatuses"] = inits
    if pod.spec.ephemeral_containers:
        status["ephemeralContainerStatuses"] = [
            container_status.of_guest(pod, spec, observed, known, now)
            for spec in pod.spec.ephemeral_containers
        ]
    if is_overdue(pod, now) and phase == "Failed":
        status["reason"] = "DeadlineExceeded"
        status["message"] = "Pod was active on the node longer than the specified deadline"
    elif pod.status.get("phase") in TERMINAL:
        # Why it ended has been told, by us or by whoever ended it.
        status |= {key: pod.status[key] for key in ("reason", "message") if pod.status.get(key)}
    if pod.metadata.generation:
        status["observedGeneration"] = pod.metadata.generation
    return status


def _addresses(pod: Pod, observed: Observed, place: Place) -> dict[str, Any]:
    if pod.spec.host_network:
        ips: tuple[str, ...] = (place.host_ip,) if observed.sandbox is not None else ()
    else:
        ips = observed.sandbox.ips if observed.sandbox is not None else ()
    if not ips:
        return {key: pod.status[key] for key in ("podIP", "podIPs") if key in pod.status}
    return {"podIP": ips[0], "podIPs": [{"ip": ip} for ip in ips]}


def _phase(pod: Pod, observed: Observed, mains: list[dict[str, Any]], now: float) -> str:
    before = str(pod.status.get("phase") or "Pending")
    if before in TERMINAL:
        return before
    if is_overdue(pod, now):
        return "Failed" if not observed.alive() else before
    # Who waits for a pod that goes waits for its end, also of one that never came to run.
    gone = pod.metadata.deleting and (_all_ended(mains) or not observed.alive())
    if gone or is_finished(pod, observed, now):
        ended = "Succeeded" if all(_ended_well(item) for item in mains) else "Failed"
        # It has not ended before its sidecars have.
        return before if observed.alive() else ended
    if any(_never_ran(item) for item in mains):
        return "Pending"
    return "Running"


def _all_ended(mains: list[dict[str, Any]]) -> bool:
    """A deleted pod does not run again: it shows how its containers ended."""
    return all("terminated" in item["state"] for item in mains)


def _ended_well(entry: dict[str, Any]) -> bool:
    ended = entry["state"].get("terminated")
    return ended is not None and ended["exitCode"] == 0


def _never_ran(entry: dict[str, Any]) -> bool:
    return "waiting" in entry["state"] and not entry["lastState"]


def _conditions(
    pod: Pod,
    observed: Observed,
    known: Known,
    phase: str,
    entries: list[dict[str, Any]],
    now: float,
) -> list[dict[str, Any]]:
    recorded = [
        Condition(
            type=item.get("type", ""),
            status=item.get("status", ""),
            last_transition_time=item.get("lastTransitionTime"),
        )
        for item in pod.status.get("conditions") or ()
    ]
    unready = _unready(pod, entries)
    initialized = _initialized(pod, observed, known, phase)
    containers_ready = _containers_ready(phase, unready)
    sandbox = observed.sandbox
    has_network = sandbox is not None and sandbox.ready
    made = {
        READY_TO_START: (_true if has_network else _false)(READY_TO_START),
        "Initialized": initialized,
        "Ready": _ready(pod, recorded, containers_ready),
        "ContainersReady": containers_ready,
        "PodScheduled": _true("PodScheduled"),
    }
    verdict = resizing.Verdict(*known.refusal)
    trouble = known.troubles.get(resizing.IN_PROGRESS)
    resizes = resizing.conditions(pod, observed, known.resources, verdict, trouble)
    told = [*(made[type_] for type_ in OURS), *resizes]
    seen = {"observedGeneration": pod.metadata.generation} if pod.metadata.generation else {}
    return [
        seen | conditions.render(item, conditions.find(recorded, item.type), now) for item in told
    ]


def _true(type_: str, reason: str = "") -> Condition:
    return Condition(type=type_, status="True", reason=reason)


def _false(type_: str, reason: str = "", message: str = "") -> Condition:
    return Condition(type=type_, status="False", reason=reason, message=message)


def _unready(pod: Pod, entries: list[dict[str, Any]]) -> list[str]:
    sidecars = {spec.name for spec in pod.spec.init_containers if spec.is_sidecar}
    counted = {spec.name for spec in pod.spec.containers} | sidecars
    return [item["name"] for item in entries if item["name"] in counted and not item["ready"]]


def _initialized(pod: Pod, observed: Observed, known: Known, phase: str) -> Condition:
    if phase == "Succeeded":
        return _true("Initialized", "PodCompleted")
    if not pod.spec.init_containers:
        return _true("Initialized")
    waiting_for = pending_init(pod, observed, known)
    if waiting_for is None and phase != "Pending":
        return _true("Initialized")
    if waiting_for is None and observed.sandbox is not None and observed.sandbox.ready:
        return _true("Initialized")
    names: list[Spec] = list(pod.spec.init_containers)
    if waiting_for is not None:
        names = names[names.index(waiting_for) :]
    listed = " ".join(spec.name for spec in names)
    message = f"containers with incomplete status: [{listed}]"
    return _false("Initialized", "ContainersNotInitialized", message)


def _containers_ready(phase: str, unready: list[str]) -> Condition:
    if phase == "Succeeded":
        return _false("ContainersReady", "PodCompleted")
    if phase == "Failed":
        return _false("ContainersReady", "PodFailed")
    if unready:
        message = f"containers with unready status: [{' '.join(unready)}]"
        return _false("ContainersReady", "ContainersNotReady", message)
    return _true("ContainersReady")


def _ready(pod: Pod, recorded: list[Condition], containers_ready: Condition) -> Condition:
    if containers_ready.status != "True":
        return _false("Ready", containers_ready.reason, containers_ready.message)
    missing = [
        gate.condition_type
        for gate in pod.spec.readiness_gates
        if not conditions.is_true(recorded, gate.condition_type)
    ]
    if missing:
        message = "".join(
            f'corresponding condition of pod readiness gate "{name}" does not exist or is not True.'
            for name in missing
        )
        return _false("Ready", "ReadinessGatesNotReady", message)
    return _true("Ready")
