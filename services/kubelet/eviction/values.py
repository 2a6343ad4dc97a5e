"""How a pod is ended by its node, and what its status says of that."""

from dataclasses import dataclass
from typing import Any

import msgspec

from pilothouse.services.kubelet.pod.observed import Observed
from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.machinery import conditions
from pilothouse.services.machinery.conditions import Condition

IMMEDIATE_SECONDS = 1
"""What a pod gets to end in when the node can not wait."""
DISRUPTION = "DisruptionTarget"


@dataclass(frozen=True, slots=True)
class Eviction:
    """The pod ends within ``grace_seconds`` and has failed.

    ``cause``: of the condition that tells its owner that this is no fault of its own; empty: none.
    ``signal``: of what the node was short; empty where it was not.
    """

    reason: str
    message: str
    grace_seconds: int = IMMEDIATE_SECONDS
    cause: str = "TerminationByKubelet"
    signal: str = ""


def ended(pod: Pod, eviction: Eviction) -> Pod:
    """The pod as it is decided about: failed, with the time that it has to end."""
    status = {"phase": "Failed", "reason": eviction.reason, "message": eviction.message}
    spec = msgspec.structs.replace(
        pod.spec, termination_grace_period_seconds=eviction.grace_seconds
    )
    return msgspec.structs.replace(pod, spec=spec, status=pod.status | status)


def told(
    status: dict[str, Any], pod: Pod, eviction: Eviction, observed: Observed, now: float
) -> dict[str, Any]:
    """The status as others see it: it has failed when nothing of it runs any more."""
    status = status | {"reason": eviction.reason, "message": eviction.message}
    if observed.alive():
        status["phase"] = pod.status.get("phase") or "Pending"
    if eviction.cause:
        made = Condition(
            type=DISRUPTION, status="True", reason=eviction.cause, message=eviction.message
        )
        recorded = next(
            (item for item in pod.status.get("conditions") or () if item.get("type") == DISRUPTION),
            None,
        )
        before = None if recorded is None else msgspec.convert(recorded, Condition)
        others = [item for item in status["conditions"] if item["type"] != DISRUPTION]
        status["conditions"] = [*others, conditions.render(made, before, now)]
    return status
