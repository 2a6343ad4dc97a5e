"""When a CronJob is due: the newest start that was not made, and how long until the next."""

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.kinds import schedules
from pilothouse.services.machinery.kinds.jobs import CronJob
from pilothouse.services.machinery.kinds.schedules import Schedule

MISSED_MAX = 100
PADDING_SECONDS = 0.1
"""Looks are taken a little late, so that a clock that is a little early misses nothing."""


@dataclass(frozen=True, slots=True)
class Timetable:
    """A schedule where it is to be read."""

    schedule: Schedule
    zone: tzinfo


@dataclass(frozen=True, slots=True)
class Missed:
    """``newest`` is the last of them up to now; ``number`` is a rough count."""

    newest: float | None = None
    number: int = 0


def timetable(cronjob: CronJob) -> Timetable:
    """ValueError on a schedule that can not be read, KeyError on an unknown time zone."""
    name = cronjob.spec.time_zone
    zone: tzinfo = ZoneInfo(name) if name else UTC
    return Timetable(schedules.parse(cronjob.spec.schedule), zone)


def since(cronjob: CronJob, now: float | None = None) -> float:
    """Whatever was due up to then was seen to, or with ``now`` is too late to be seen to."""
    stamp = cronjob.status.last_schedule_time or cronjob.metadata.creation_timestamp
    start = timestamps.parse(stamp) if stamp else 0.0
    deadline = cronjob.spec.starting_deadline_seconds
    return start if now is None or deadline is None else max(start, now - deadline)


def missed(table: Timetable, start: float, now: float) -> Missed:
    """Of the times later than ``start``; ValueError when the schedule names no real time.

    Years of missed starts are not walked through: from the distance of the first two follows
    about where the newest is.
    """
    first = _next(table, start)
    second = _next(table, first)
    if now < first:
        return Missed()
    if now < second:
        return Missed(first)
    apart = round(second - first)
    if apart < 1:
        raise ValueError("time difference between two schedules is less than 1 second")
    number = int(now - first) // apart + 1
    newest = None
    moment = _next(table, first + (number - 2) * apart)
    while moment <= now:
        newest, moment = moment, _next(table, moment)
    return Missed(newest, number)


def _next(table: Timetable, after: float) -> float:
    found = schedules.following(table.schedule, after, table.zone)
    if found is None:
        raise ValueError("time difference between two schedules is less than 1 second")
    return found


def seconds_to_next(cronjob: CronJob, table: Timetable, now: float) -> float | None:
    """Until it is worth looking again; None when it never is."""
    start = since(cronjob)
    try:
        before = missed(table, start, now)
    except ValueError:
        return None
    last = before.newest
    if last is None:
        last = now if before.number else start
    return max(_next(table, last) - now, 0.0) + PADDING_SECONDS


def stamp(table: Timetable, moment: float) -> str:
    """RFC 3339 in the CronJob's own zone."""
    text = datetime.fromtimestamp(moment, table.zone).isoformat()
    return text.replace("+00:00", "Z")
