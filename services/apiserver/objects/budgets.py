"""PodDisruptionBudgets as evictions meet them: may this pod go, and what is written then. Pure.

pod ─▶ ended, pending, going? ─▶ delete
   └─▶ budgets that select it: none ─▶ delete · several ─▶ refuse · one ─▶ ask it
"""

from typing import Any

import msgspec

from pilothouse.services.machinery import labels, timestamps
from pilothouse.services.machinery.errors import Cause, Forbidden, Subject, TooManyRequests
from pilothouse.services.machinery.labels import LabelSelector

Document = dict[str, Any]

CAUSE = "DisruptionBudget"
DISRUPTED_MAX = 2000
RETRY_SECONDS = 10
SEVERAL = (
    "This pod has more than one PodDisruptionBudget, which the eviction subresource does not "
    "support."
)
VIOLATED = "Cannot evict pod as it would violate the pod's disruption budget."
_FREE = frozenset({"Succeeded", "Failed", "Pending"})


def needs_none(pod: Document) -> bool:
    """Whether nobody is disrupted by its end: it has ended, has not begun, or is going."""
    phase = (pod.get("status") or {}).get("phase", "Pending")
    return phase in _FREE or "deletionTimestamp" in pod["metadata"]


def may_become_ready(pod: Document) -> bool:
    """Whether it could count as healthy before it is deleted."""
    phase = (pod.get("status") or {}).get("phase", "Pending")
    return phase not in {"Succeeded", "Failed"} and "deletionTimestamp" not in pod["metadata"]


def is_ready(pod: Document) -> bool:
    """Whether its condition Ready holds."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


def selects(budget: Document, pod: Document) -> bool:
    """Whether the budget counts this pod."""
    asked = (budget.get("spec") or {}).get("selector")
    if asked is None:
        return False
    selector = labels.compile_selector(msgspec.convert(asked, LabelSelector))
    return selector is not None and selector.matches(pod["metadata"].get("labels") or {})


def lets_unready_go(budget: Document) -> bool:
    """Whether a pod that is not ready may go without being counted."""
    if (budget.get("spec") or {}).get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    status = budget.get("status") or {}
    desired = status.get("desiredHealthy", 0)
    return bool(status.get("currentHealthy", 0) >= desired > 0)


def busy(name: str) -> TooManyRequests:
    """The budget's controller has not caught up."""
    told = f"The disruption budget {name} is still being processed by the server."
    return TooManyRequests(
        VIOLATED, causes=[Cause("", told, CAUSE)], retry_after_seconds=RETRY_SECONDS
    )


def taken(budget: Document, pod: str, now: float) -> Document:
    """The budget with one disruption less, that of ``pod``.

    Raises:
        TooManyRequests: it allows none, or its status is behind its spec.
        Forbidden: more evictions wait to be seen than anybody should have.
    """
    metadata, status = budget["metadata"], budget.get("status") or {}
    name = metadata["name"]
    if status.get("observedGeneration", 0) < metadata.get("generation", 0):
        raise busy(name)
    allowed = status.get("disruptionsAllowed", 0)
    disrupted = status.get("disruptedPods") or {}
    if allowed < 0:
        raise _forbidden(name, "pdb disruptions allowed is negative")
    if len(disrupted) > DISRUPTED_MAX:
        why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
        raise _forbidden(name, why)
    if allowed == 0:
        told = (
            f"The disruption budget {name} needs {status.get('desiredHealthy', 0)} healthy pods "
            f"and has {status.get('currentHealthy', 0)} currently"
        )
        raise TooManyRequests(VIOLATED, causes=[Cause("", told, CAUSE)])
    stamp = timestamps.render(now)
    status = {
        **status,
        "disruptionsAllowed": allowed - 1,
        "disruptedPods": {**disrupted, pod: stamp},
    }
    if allowed == 1:
        status["conditions"] = _exhausted(status.get("conditions") or [], metadata, stamp)
    return {**budget, "status": status}


def _exhausted(conditions: list[Document], metadata: Document, stamp: str) -> list[Document]:
    others = [item for item in conditions if item["type"] != "DisruptionAllowed"]
    told = {
        "type": "DisruptionAllowed",
        "status": "False",
        "reason": "InsufficientPods",
        "message": "",
        "lastTransitionTime": stamp,
        "observedGeneration": metadata.get("generation", 0),
    }
    return [*others, told]


def marked(pod: Document, now: float) -> Document:
    """The pod that says why it goes."""
    status = pod.get("status") or {}
    others = [i for i in status.get("conditions") or () if i["type"] != "DisruptionTarget"]
    told = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "EvictionByEvictionAPI",
        "message": "Eviction API: evicting",
        "lastTransitionTime": timestamps.render(now),
    }
    return {**pod, "status": {**status, "conditions": [*others, told]}}


def _forbidden(name: str, why: str) -> Forbidden:
    kind = "poddisruptionbudget.policy"
    return Forbidden(
        f'{kind} "{name}" is forbidden: {why}',
        subject=Subject(group="policy", kind="poddisruptionbudget", name=name),
    )
