"""Why a pod does not run yet, or is not ready: every obstacle that its kubelet knows. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pilothouse.services.kubelet.pod.observed import SANDBOX, VOLUMES, Known, Observed
from pilothouse.services.kubelet.pod.views import STATUSES, Pod

_ABOUT = {SANDBOX: "sandbox", VOLUMES: "volumes"}


@dataclass(frozen=True, slots=True)
class Obstacle:
    """``about`` is ``pod``, ``volumes``, ``sandbox`` or a container's name.

    ``retry_seconds``: until the kubelet tries again by itself; 0 when it waits for something else.
    """

    about: str
    reason: str
    message: str
    retry_seconds: float = 0.0


def obstacles(
    pod: Pod, observed: Observed, known: Known, status: Mapping[str, Any], now: float
) -> list[Obstacle]:
    """In the order in which they have to be overcome; none when the pod is well."""
    if status.get("phase") in ("Succeeded", "Failed"):
        told = Obstacle("pod", status.get("reason") or status["phase"], status.get("message") or "")
        return [told] if status["phase"] == "Failed" else []
    found = list(_leaving(pod, observed, known, now))
    found += _troubles(known, now)
    named = {item.about for item in found}
    found += (item for item in _waiting(status) if item.about not in named)
    named = {item.about for item in found}
    found += (item for item in _unready(observed, known) if item.about not in named)
    if not found:
        found += _conditions(status)
    return found


def summary(found: Sequence[Obstacle]) -> str:
    """One sentence about the first, and how many more there are."""
    if not found:
        return ""
    first = found[0]
    text = f"{first.about}: {first.reason}"
    if first.message:
        text += f": {first.message}"
    return f"{text} (and {len(found) - 1} more)" if len(found) > 1 else text


def _leaving(pod: Pod, observed: Observed, known: Known, now: float) -> Iterator[Obstacle]:
    if not pod.metadata.deleting:
        return
    alive = [item for item in observed.alive() if item.id in known.stopping]
    if not alive:
        yield Obstacle("pod", "Terminating", "what is left of it is being removed")
    for item in alive:
        left = max(known.stopping[item.id] - now, 0.0)
        yield Obstacle(item.name, "Terminating", "it was asked to end, and is killed then", left)


def _troubles(known: Known, now: float) -> Iterator[Obstacle]:
    order = {VOLUMES: 0, SANDBOX: 1}
    for what, trouble in sorted(known.troubles.items(), key=lambda item: order.get(item[0], 2)):
        left = max(trouble.until - now, 0.0)
        yield Obstacle(_ABOUT.get(what, what), trouble.reason, trouble.message, left)


def _waiting(status: Mapping[str, Any]) -> Iterator[Obstacle]:
    for part in STATUSES:
        for entry in status.get(part) or ():
            waiting = (entry.get("state") or {}).get("waiting")
            if waiting is not None:
                reason = waiting.get("reason") or "Waiting"
                yield Obstacle(entry["name"], reason, waiting.get("message") or "")


def _unready(observed: Observed, known: Known) -> Iterator[Obstacle]:
    for item in observed.containers:
        health = known.health.get(item.id)
        if item.state != "running" or health is None:
            continue
        if health.started is False:
            yield Obstacle(item.name, "NotStarted", "its startup probe has not passed yet")
        elif health.ready is False:
            yield Obstacle(item.name, "NotReady", "its readiness probe fails")


def _conditions(status: Mapping[str, Any]) -> Iterator[Obstacle]:
    for item in status.get("conditions") or ():
        if item["type"] == "Ready" and item["status"] != "True":
            yield Obstacle("pod", item.get("reason") or "NotReady", item.get("message") or "")
