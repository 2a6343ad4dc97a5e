"""Schedules of CronJobs: five fields, or a word that stands for them."""

import math
import re
from dataclasses import dataclass
from datetime import datetime, tzinfo

_MONTHS = {name: n for n, name in enumerate(
    ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1)
}  # fmt: skip
_DAYS = {name: n for n, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}
_FIELDS: tuple[tuple[int, int, dict[str, int]], ...] = (
    (0, 59, {}),
    (0, 23, {}),
    (1, 31, {}),
    (1, 12, _MONTHS),
    (0, 6, _DAYS),
)
_WORDS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_EVERY = "@every "
_STARS = ("*", "?")
_EACH = ("", "1")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|ms|us|m|s|ns)")
_YEARS_MAX = 5
"""How far ahead a time is sought: there is no 31st of February."""
_MINUTE = 60
_NOON = 12
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


@dataclass(frozen=True, slots=True)
class Schedule:
    """When to run. A day matches by month or by week when both are bounded, else by both.

    ``every_seconds`` above 0 is a plain interval, and the sets are empty.
    """

    minutes: frozenset[int] = frozenset()
    hours: frozenset[int] = frozenset()
    days: frozenset[int] = frozenset()
    months: frozenset[int] = frozenset()
    weekdays: frozenset[int] = frozenset()
    any_day: bool = False
    any_weekday: bool = False
    every_seconds: float = 0.0


def parse(text: str) -> Schedule:
    """The schedule that ``text`` says; ValueError with the words of the real server."""
    if not text:
        raise ValueError("empty spec string")
    if text.startswith("@"):
        if text.startswith(_EVERY):
            return Schedule(every_seconds=max(1.0, math.floor(_duration(text))))
        if text not in _WORDS:
            raise ValueError(f"unrecognized descriptor: {text}")
        text = _WORDS[text]
    parts = text.split()
    if len(parts) != len(_FIELDS):
        shown = " ".join(parts)
        raise ValueError(f"expected exactly {len(_FIELDS)} fields, found {len(parts)}: [{shown}]")
    minutes, hours, days, months, weekdays = (
        _field(part, *bounds) for part, bounds in zip(parts, _FIELDS, strict=True)
    )
    any_day, any_weekday = _any(parts[2]), _any(parts[4])
    return Schedule(minutes, hours, days, months, weekdays, any_day, any_weekday)


def following(schedule: Schedule, after: float, zone: tzinfo) -> float | None:
    """The first time later than ``after`` (seconds since the epoch); None when there is none.

    Clocks that are put back show an hour twice, and what is due in it comes twice; an hour that
    is left out has nothing due.
    """
    if schedule.every_seconds:
        return math.floor(after) + schedule.every_seconds
    moment = (math.floor(after / _MINUTE) + 1) * _MINUTE
    last = datetime.fromtimestamp(moment, zone).year + _YEARS_MAX
    while (local := datetime.fromtimestamp(moment, zone)).year <= last:
        if local.month not in schedule.months:
            month = local.year * 12 + local.month
            start = datetime(month // 12, month % 12 + 1, 1, tzinfo=zone)
            moment = max(math.floor(start.timestamp()), moment + _MINUTE)
        elif not _has_day(schedule, local):
            moment += (60 * (24 - local.hour) - local.minute) * _MINUTE
            moment = _at_midnight(moment, zone)
        elif local.hour not in schedule.hours:
            moment += (60 - local.minute) * _MINUTE
        elif local.minute not in schedule.minutes:
            later = [minute for minute in schedule.minutes if minute > local.minute]
            moment += (min(later, default=60) - local.minute) * _MINUTE
        else:
            return float(moment)
    return None


def _has_day(schedule: Schedule, local: datetime) -> bool:
    by_month = local.day in schedule.days
    by_week = local.isoweekday() % 7 in schedule.weekdays
    if schedule.any_day or schedule.any_weekday:
        return by_month and by_week
    return by_month or by_week


def _at_midnight(moment: int, zone: tzinfo) -> int:
    """The start of a day near which ``moment`` is: days are not all 24 hours long."""
    local = datetime.fromtimestamp(moment, zone)
    if local.hour >= _NOON:  # a long day: its midnight is yet to come
        return moment + (60 * (24 - local.hour) - local.minute) * _MINUTE
    start = moment - (60 * local.hour + local.minute) * _MINUTE
    has_midnight = datetime.fromtimestamp(start, zone).day == local.day
    return start if has_midnight else moment


def _any(text: str) -> bool:
    """Whether it leaves the choice to the other field of days: a star, but not every n-th of it."""
    ends = (part.partition("/") for part in text.split(","))
    return any(end.partition("-")[0] in _STARS and step in _EACH for end, _, step in ends)


def _duration(text: str) -> float:
    given = text.removeprefix(_EVERY)
    if not given or _DURATION.sub("", given):
        raise ValueError(f'failed to parse duration {text}: time: invalid duration "{given}"')
    return sum(float(amount) * _UNITS[unit] for amount, unit in _DURATION.findall(given))


def _field(text: str, least: int, most: int, names: dict[str, int]) -> frozenset[int]:
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        found |= _range(part, least, most, names)
    return frozenset(found)


def _range(text: str, least: int, most: int, names: dict[str, int]) -> set[int]:
    ends, *steps = text.split("/")
    if len(steps) > 1:
        raise ValueError(f"too many slashes: {text}")
    first, *last = ends.split("-")
    if len(last) > 1:
        raise ValueError(f"too many hyphens: {text}")
    if first in _STARS:
        start, end = least, most
    else:
        start = _number(first, names)
        end = _number(last[0], names) if last else (most if steps else start)
    step = _number(steps[0], {}) if steps else 1
    if start < least:
        raise ValueError(f"beginning of range ({start}) below minimum ({least}): {text}")
    if end > most:
        raise ValueError(f"end of range ({end}) above maximum ({most}): {text}")
    if start > end:
        raise ValueError(f"beginning of range ({start}) beyond end of range ({end}): {text}")
    if step == 0:
        raise ValueError(f"step of range should be a positive number: {text}")
    return set(range(start, end + 1, step))


def _number(text: str, names: dict[str, int]) -> int:
    found = names.get(text.lower())
    if found is not None:
        return found
    try:
        number = int(text)
    except ValueError:
        why = f'strconv.Atoi: parsing "{text}": invalid syntax'
        raise ValueError(f"failed to parse int from {text}: {why}") from None
    if number < 0:
        raise ValueError(f"negative number ({number}) not allowed: {text}")
    return number
