"""Events, in the core group's shape, whichever group they are written by."""

from pilothouse.services.apiserver.strategies.strategy import Body, Strategy, immutable
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause

NAME_BYTES_MAX = 128
NOTE_BYTES_MAX = 1024
_TYPES = ("Normal", "Warning")
_FIXED = (
    "involvedObject", "reason", "message", "type", "eventTime", "reportingComponent",
    "reportingInstance", "action", "related", "source", "firstTimestamp", "lastTimestamp", "count",
)  # fmt: skip
_CLUSTER_NAMESPACES = ("", "default", "kube-system")


def _check(body: Body) -> list[Cause]:
    causes = _place(body)
    if body.get("eventTime") is None:
        # Written by the core group, which never asked for more.
        return causes
    component, instance = body.get("reportingComponent", ""), body.get("reportingInstance", "")
    if not component:
        causes.append(names.required("reportingController"))
    else:
        causes += names.check(names.qualified, component, "reportingController")
    for field, value in (
        ("reportingInstance", instance), ("action", body.get("action", "")),
        ("reason", body.get("reason", "")),
    ):  # fmt: skip
        if not value:
            causes.append(names.required(field))
        if len(value) > NAME_BYTES_MAX:
            detail = f"can have at most {NAME_BYTES_MAX} characters"
            causes.append(names.invalid(field, "", detail))
    if len(body.get("message", "")) > NOTE_BYTES_MAX:
        detail = f"can have at most {NOTE_BYTES_MAX} characters"
        causes.append(names.invalid("message", "", detail))
    return causes


def _place(body: Body) -> list[Cause]:
    namespace = (body.get("metadata") or {}).get("namespace", "")
    regarding = (body.get("involvedObject") or {}).get("namespace", "")
    field = "involvedObject.namespace"
    if regarding and namespace != regarding:
        return [names.invalid(field, regarding, "does not match event.namespace")]
    if not regarding and namespace not in _CLUSTER_NAMESPACES:
        return [names.invalid(field, regarding, "does not match event.namespace")]
    return []


def _check_create(body: Body) -> list[Cause]:
    if body.get("eventTime") is None or body.get("type") in _TYPES:
        return []
    detail = "has invalid value: " + str(body.get("type", ""))
    return [names.invalid("type", "", detail)]


def _check_update(new: Body, old: Body) -> list[Cause]:
    if old.get("eventTime") is None:
        return []
    causes: list[Cause] = []
    for field in _FIXED:
        causes += immutable(field, new.get(field), new.get(field), old.get(field))
    return causes


EVENT = Strategy(check=_check, check_create=_check_create, check_update=_check_update)
