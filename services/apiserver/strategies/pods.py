"""Pods: defaults and rules of the spec; after creation almost nothing of it may change."""

from typing import Any

from pilothouse.services.apiserver.strategies.pod_defaults import default_spec
from pilothouse.services.apiserver.strategies.pod_rules import check_spec
from pilothouse.services.apiserver.strategies.strategy import Body, Strategy
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause

_CHANGEABLE = frozenset(
    {
        "containers",
        "initContainers",
        "activeDeadlineSeconds",
        "tolerations",
        "terminationGracePeriodSeconds",
        "nodeName",
        "ephemeralContainers",
        "schedulingGates",
    }
)
_FORBIDDEN = (
    "pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only "
    "additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set "
    "to 1 if it was previously negative)"
)


def default(body: Body) -> None:
    """A pod's spec, and the links to Services."""
    spec = body.setdefault("spec", {})
    default_spec(spec)
    spec.setdefault("enableServiceLinks", True)


def check(body: Body) -> list[Cause]:
    """The spec's rules."""
    return check_spec(body.get("spec") or {})


def check_update(new: Body, old: Body) -> list[Cause]:
    """Images, tolerations (added), the deadline (lowered) and nothing else."""
    after, before = new.get("spec") or {}, old.get("spec") or {}
    if after == before:
        return []
    causes = _deadline(after, before)
    if _changes_what_stays(after, before):
        causes.append(names.forbidden("spec", _FORBIDDEN))
    return causes


def _changes_what_stays(after: Body, before: Body) -> bool:
    changed = {key for key in {*after, *before} if after.get(key) != before.get(key)}
    if changed - _CHANGEABLE or _grace_changed(after, before):
        return True
    kept = after.get("tolerations") or ()
    if any(toleration not in kept for toleration in before.get("tolerations") or ()):
        return True
    if "nodeName" in changed and before.get("nodeName"):
        return True
    return any(
        _without_images(after.get(field)) != _without_images(before.get(field))
        for field in ("containers", "initContainers")
    )


def _deadline(after: Body, before: Body) -> list[Cause]:
    new, old = after.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds")
    if new == old or old is None or (new is not None and new <= old):
        return []
    shown = "" if new is None else new
    detail = "must be less than or equal to previous value"
    return [names.invalid("spec.activeDeadlineSeconds", shown, detail)]


def _grace_changed(after: Body, before: Body) -> bool:
    new = after.get("terminationGracePeriodSeconds")
    old = before.get("terminationGracePeriodSeconds")
    return new != old and not (new == 1 and old is not None and old < 0)


def _without_images(containers: Any) -> list[Body]:
    return [
        {key: value for key, value in container.items() if key != "image"}
        for container in containers or ()
    ]


STRATEGY = Strategy(default, check, check_update)
