"""Conditions: a list keyed by type, whose transition time moves only when the status does."""

from collections.abc import Iterable
from typing import Any

from msgspec import structs

from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.objects import View


class Condition(View, frozen=True, kw_only=True):
    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: str | None = None
    last_update_time: str | None = None
    last_heartbeat_time: str | None = None


def find(conditions: Iterable[Condition], type_: str) -> Condition | None:
    """The condition of this type."""
    return next((item for item in conditions if item.type == type_), None)


def is_true(conditions: Iterable[Condition], type_: str) -> bool:
    """Whether the condition is there and its status is ``True``."""
    found = find(conditions, type_)
    return found is not None and found.status == "True"


def render(new: Condition, old: Condition | None, now: float) -> dict[str, Any]:
    """The JSON of ``new`` with the transition time of ``old`` where the status is the same."""
    same = old is not None and old.status == new.status and old.last_transition_time is not None
    since = old.last_transition_time if same and old is not None else timestamps.render(now)
    rendered = {"type": new.type, "status": new.status, "lastTransitionTime": since}
    if new.reason:
        rendered["reason"] = new.reason
    if new.message:
        rendered["message"] = new.message
    return rendered


def rendered(condition: Condition, *, with_update_time: bool = False) -> dict[str, Any]:
    """The JSON of a condition whose times are decided; few kinds have an update time."""
    fields = {
        "type": condition.type,
        "status": condition.status,
        "reason": condition.reason,
        "message": condition.message,
        "lastHeartbeatTime": condition.last_heartbeat_time,
        "lastUpdateTime": condition.last_update_time if with_update_time else None,
        "lastTransitionTime": condition.last_transition_time,
    }
    return {name: value for name, value in fields.items() if value}


def replaced(conditions: Iterable[Condition], new: Condition, now: float) -> tuple[Condition, ...]:
    """``conditions`` with ``new`` in its type's place.

    The times of ``new`` are decided here: both are kept while status and reason are, that of the
    transition while the status is.
    """
    before = tuple(conditions)
    old = find(before, new.type)
    if old is None:
        return (*before, _timed(new, timestamps.render(now), timestamps.render(now)))
    if (old.status, old.reason) == (new.status, new.reason):
        timed = structs.replace(old, message=new.message)
    else:
        stamp = timestamps.render(now)
        since = old.last_transition_time if old.status == new.status else stamp
        timed = _timed(new, stamp, since)
    return tuple(timed if item is old else item for item in before)


def _timed(condition: Condition, updated: str, since: str | None) -> Condition:
    return structs.replace(condition, last_update_time=updated, last_transition_time=since)
