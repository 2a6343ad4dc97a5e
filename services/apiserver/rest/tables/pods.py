"""The columns of a Pod, with the one word that says how it is."""

from collections.abc import Iterator
from typing import Any

from pilothouse.services.apiserver.rest.tables import ages
from pilothouse.services.apiserver.rest.tables.column import (
    AGE,
    NAME,
    NONE,
    Column,
    Document,
    at,
    field,
)
from pilothouse.services.machinery import timestamps

ALWAYS = "Always"
TERMINAL_PHASES = ("Succeeded", "Failed")


def status(pod: Document) -> str:
    """The STATUS column: the phase, or whatever stops the pod from being it."""
    reason: str = at(pod, "status.reason") or at(pod, "status.phase") or ""
    if _condition_reason(pod, "PodScheduled") == "SchedulingGated":
        reason = "SchedulingGated"
    initializing = _initializing(pod)
    if initializing:
        reason = initializing
    if not initializing or _condition(pod, "Initialized"):
        reason = _running_reason(pod, reason)
    if not at(pod, "metadata.deletionTimestamp"):
        return reason
    if at(pod, "status.reason") == "NodeLost":
        return "Unknown"
    return reason if at(pod, "status.phase") in TERMINAL_PHASES else "Terminating"


def _initializing(pod: Document) -> str:
    """What the first init container that is not done is at, or empty text."""
    sidecars = _sidecars(pod)
    for index, container in enumerate(at(pod, "status.initContainerStatuses") or ()):
        state = container.get("state") or {}
        terminated = state.get("terminated")
        if terminated and terminated.get("exitCode") == 0:
            continue
        if container.get("name") in sidecars and container.get("started"):
            continue
        if terminated:
            return "Init:" + _termination(terminated)
        waiting = (state.get("waiting") or {}).get("reason", "")
        if waiting and waiting != "PodInitializing":
            return f"Init:{waiting}"
        return f"Init:{index}/{len(at(pod, 'spec.initContainers') or ())}"
    return ""


def _running_reason(pod: Document, reason: str) -> str:
    running = False
    for container in reversed(at(pod, "status.containerStatuses") or ()):
        state = container.get("state") or {}
        waiting = (state.get("waiting") or {}).get("reason")
        if waiting:
            reason = waiting
        elif state.get("terminated"):
            reason = _termination(state["terminated"])
        elif container.get("ready") and state.get("running") is not None:
            running = True
    if reason == "Completed" and running:
        return "Running" if _condition(pod, "Ready") else "NotReady"
    return reason


def _termination(terminated: Document) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


def ready(pod: Document) -> str:
    """``ready/total``, sidecars counted in."""
    sidecars = _sidecars(pod)
    total = len(at(pod, "spec.containers") or ()) + len(sidecars)
    count = sum(
        1
        for container in at(pod, "status.initContainerStatuses") or ()
        if container.get("name") in sidecars and container.get("started") and container.get("ready")
    )
    if not _initializing(pod) or _condition(pod, "Initialized"):
        count += sum(
            1
            for container in at(pod, "status.containerStatuses") or ()
            if container.get("ready") and (container.get("state") or {}).get("running") is not None
        )
    return f"{count}/{total}"


def restarts(pod: Document, now: float) -> str:
    """How often containers were restarted, and how long ago the last of them ended."""
    counted = list(_counted_containers(pod))
    count = sum(container.get("restartCount") or 0 for container in counted)
    ended = [
        timestamps.parse(finished)
        for container in counted
        if (finished := at(container, "lastState.terminated.finishedAt"))
    ]
    if not count or not ended:
        return str(count)
    return f"{count} ({ages.human(now - max(ended))} ago)"


def _counted_containers(pod: Document) -> Iterator[Document]:
    """While initializing the init containers count, later the sidecars and the containers."""
    initial = at(pod, "status.initContainerStatuses") or ()
    if _initializing(pod) and not _condition(pod, "Initialized"):
        yield from initial
        return
    sidecars = _sidecars(pod)
    yield from (container for container in initial if container.get("name") in sidecars)
    yield from at(pod, "status.containerStatuses") or ()


def _sidecars(pod: Document) -> frozenset[str]:
    return frozenset(
        container.get("name", "")
        for container in at(pod, "spec.initContainers") or ()
        if container.get("restartPolicy") == ALWAYS
    )


def _conditions(pod: Document, kind: str) -> Iterator[Document]:
    return (item for item in at(pod, "status.conditions") or () if item.get("type") == kind)


def _condition(pod: Document, kind: str) -> bool:
    return any(item.get("status") == "True" for item in _conditions(pod, kind))


def _condition_reason(pod: Document, kind: str) -> str:
    return next((item.get("reason", "") for item in _conditions(pod, kind)), "")


def _readiness_gates(pod: Document, now: float) -> str:
    del now
    gates = at(pod, "spec.readinessGates") or ()
    if not gates:
        return NONE
    met = sum(1 for gate in gates if _condition(pod, gate.get("conditionType", "")))
    return f"{met}/{len(gates)}"


def row_conditions(pod: Document) -> list[dict[str, Any]]:
    """Marks the row of a pod that has ended, so that clients may grey it out."""
    phase = at(pod, "status.phase")
    if phase not in TERMINAL_PHASES:
        return []
    message = "The pod has completed successfully." if phase == "Succeeded" else "The pod failed."
    return [{"type": "Completed", "status": "True", "reason": phase, "message": message}]


COLUMNS = (
    NAME,
    Column("Ready", lambda pod, now: ready(pod)),
    Column("Status", lambda pod, now: status(pod)),
    Column("Restarts", restarts),
    AGE,
    Column("IP", field("status.podIP", NONE), wide=True),
    Column("Node", field("spec.nodeName", NONE), wide=True),
    Column("Nominated Node", field("status.nominatedNodeName", NONE), wide=True),
    Column("Readiness Gates", _readiness_gates, wide=True),
)
