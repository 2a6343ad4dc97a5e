"""CertificateSigningRequests: who decides writes ``approval``, who signs writes ``status``."""

from typing import Any

from pilothouse.services.apiserver.strategies.strategy import Body
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause

_DECISIONS = ("Approved", "Denied")
_LASTING = ("Approved", "Denied", "Failed")
_PATH = "status.conditions"


def take(new: Body, old: Body) -> Body:
    """The conditions, and nothing else of the status."""
    conditions = [_timed(item, old) for item in _conditions(new)]
    status = {**(old.get("status") or {}), "conditions": conditions}
    if not conditions:
        del status["conditions"]
    return {**old, "status": status}


def _timed(item: Body, old: Body) -> Body:
    """A decision was taken when it was written, unless it was there before."""
    if item.get("lastTransitionTime") or not item.get("lastUpdateTime"):
        return item
    before = next((was for was in _conditions(old) if was.get("type") == item.get("type")), {})
    same = before.get("status") == item.get("status") and before.get("lastTransitionTime")
    return {**item, "lastTransitionTime": same or item["lastUpdateTime"]}


def take_status(new: Body, old: Body) -> Body:
    """The status, its decisions as they were."""
    decided = [item for item in _conditions(old) if item.get("type") in _DECISIONS]
    others = [item for item in _conditions(new) if item.get("type") not in _DECISIONS]
    status: Body = dict(new.get("status") or {})
    status["conditions"] = [*decided, *others]
    if not status["conditions"]:
        del status["conditions"]
    return {**old, "status": status}


def check(new: Body, old: Body) -> list[Cause]:
    """A decision is one of the two, holds, and is never taken back."""
    conditions = _conditions(new)
    types = [item.get("type", "") for item in conditions]
    causes: list[Cause] = []
    for index, item in enumerate(conditions):
        where = f"{_PATH}[{index}]"
        if not item.get("type"):
            causes.append(names.required(f"{where}.type"))
        if not item.get("status"):
            causes.append(names.required(f"{where}.status"))
        elif item.get("type") in _LASTING and item["status"] != "True":
            causes.append(names.unsupported(f"{where}.status", item["status"], ("True",)))
        elif item["status"] not in ("True", "False", "Unknown"):
            choices = ("True", "False", "Unknown")
            causes.append(names.unsupported(f"{where}.status", item["status"], choices))
        if types.index(item.get("type", "")) != index:
            causes.append(names.duplicate(f"{where}.type", item.get("type", "")))
    if set(_DECISIONS) <= set(types):
        index = max(types.index(word) for word in _DECISIONS)
        detail = "Approved and Denied conditions are mutually exclusive"
        causes.append(names.invalid(f"{_PATH}[{index}].type", types[index], detail))
    had = {item.get("type") for item in _conditions(old)}
    causes += [
        names.forbidden(_PATH, f"updates may not remove a condition of type {word}")
        for word in _LASTING
        if word in had and word not in types
    ]
    return causes


def check_status(new: Body, old: Body) -> list[Cause]:
    """The rules of the conditions; a certificate that is there stays."""
    before = (old.get("status") or {}).get("certificate")
    causes = check(new, old)
    if before and (new.get("status") or {}).get("certificate") != before:
        detail = "updates may not modify existing certificate content"
        causes.append(names.forbidden("status.certificate", detail))
    return causes


def _conditions(body: Body) -> list[dict[str, Any]]:
    return list((body.get("status") or {}).get("conditions") or ())
