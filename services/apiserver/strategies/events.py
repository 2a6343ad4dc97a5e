"""Events, in the core group's shape, whichever group they are written by."""

from pilothouse.services.apiserver.strategies.strategy import Body, Strategy, immutable
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause

NAME_BYTES_MAX = 128
NOTE_BYTES_MAX = 1024
SERIES_MIN = 2
_TYPES = ("Normal", "Warning")
_FIXED = (
    "involvedObject", "reason", "message", "type", "eventTime", "reportingComponent",
    "reportingInstance", "action", "related", "source", "firstTimestamp", "lastTimestamp", "count",
)  # fmt: skip
_OLD_FIELDS = ("firstTimestamp", "lastTimestamp", "count", "source")
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
    """What the newer group asks of those who write by it."""
    causes = []
    series = body.get("series")
    if series is not None and (series.get("count") or 0) < SERIES_MIN:
        causes.append(names.invalid("series.count", "", f"should be at least {SERIES_MIN}"))
    if series is not None and not series.get("lastObservedTime"):
        causes.append(names.required("series.lastObservedTime"))
    if body.get("eventTime") is None:
        causes.append(names.required("eventTime"))
    if body.get("type") not in _TYPES:
        detail = "has invalid value: " + str(body.get("type", ""))
        causes.append(names.invalid("type", "", detail))
    return causes + [
        names.invalid(field, "", "needs to be unset") for field in _OLD_FIELDS if body.get(field)
    ]


def _check_update(new: Body, old: Body) -> list[Cause]:
    causes: list[Cause] = []
    for field in _FIXED:
        causes += immutable(field, new.get(field), new.get(field), old.get(field))
    return causes


EVENT = Strategy(check=_check)
NEW_EVENT = Strategy(check=_check, check_create=_check_create, check_update=_check_update)
"""The same, written by ``events.k8s.io``."""
