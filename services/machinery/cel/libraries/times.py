"""Accessors of timestamps, in UTC or a time zone, and of durations."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pilothouse.services.machinery.cel.declarations import declare
from pilothouse.services.machinery.cel.errors import EvaluationError
from pilothouse.services.machinery.cel.formats import NANOS

if TYPE_CHECKING:
    from collections.abc import Callable

    from pilothouse.services.machinery.cel.values import Duration, Timestamp

# method: (overload stem, how a local time gives the number)
_ACCESSORS: dict[str, tuple[str, Callable[[datetime], int]]] = {
    "getFullYear": ("year", lambda t: t.year),
    "getMonth": ("month", lambda t: t.month - 1),
    "getDayOfYear": ("day_of_year", lambda t: t.timetuple().tm_yday - 1),
    "getDayOfMonth": ("day_of_month", lambda t: t.day - 1),
    "getDate": ("day_of_month_1_based", lambda t: t.day),
    "getDayOfWeek": ("day_of_week", lambda t: t.isoweekday() % 7),
    "getHours": ("hours", lambda t: t.hour),
    "getMinutes": ("minutes", lambda t: t.minute),
    "getSeconds": ("seconds", lambda t: t.second),
    "getMilliseconds": ("milliseconds", lambda t: t.microsecond // 1000),
}
_UNITS = {"hours": 3600 * NANOS, "minutes": 60 * NANOS, "seconds": NANOS, "milliseconds": 10**6}
_OFFSET = re.compile(r"([+-]?)(\d{1,2}):(\d{2})", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _text() -> str:
    lines = []
    for method, (stem, _) in _ACCESSORS.items():
        lines.append(f"timestamp_to_{stem}: timestamp .{method}() -> int")
        lines.append(f"timestamp_to_{stem}_with_tz: timestamp .{method}(string) -> int")
        if stem in _UNITS:
            lines.append(f"duration_to_{stem}: duration .{method}() -> int")
    return "\n".join(lines)


DECLARATIONS = declare(_text())


@lru_cache(maxsize=256)
def _zone(name: str) -> tzinfo:
    match = _OFFSET.fullmatch(name)
    if match is not None:
        offset = timedelta(hours=int(match[2]), minutes=int(match[3]))
        return timezone(-offset if match[1] == "-" else offset)
    if name in ("", "UTC", "Z"):
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise EvaluationError(f"unknown time zone {name}") from None


def _local(value: Timestamp, zone: tzinfo) -> datetime:
    seconds, nanos = divmod(value.nanos, NANOS)
    moment = _EPOCH + timedelta(seconds=seconds, microseconds=nanos // 1000)
    return moment if zone is UTC else moment.astimezone(zone)


def _accessor(read: Callable[[datetime], int]) -> Callable[..., int]:
    def access(value: Timestamp, zone: str = "UTC") -> int:
        return read(_local(value, _zone(zone)))

    return access


def _part(unit: int) -> Callable[[Duration], int]:
    """All of a duration in whole units, towards zero."""

    def part(value: Duration) -> int:
        whole = abs(value.nanos) // unit
        return whole if value.nanos >= 0 else -whole

    return part


IMPLEMENTATIONS: dict[str, Callable[..., Any]] = {}
for _stem, _read in _ACCESSORS.values():
    IMPLEMENTATIONS[f"timestamp_to_{_stem}"] = _accessor(_read)
    IMPLEMENTATIONS[f"timestamp_to_{_stem}_with_tz"] = _accessor(_read)
for _stem, _unit in _UNITS.items():
    IMPLEMENTATIONS[f"duration_to_{_stem}"] = _part(_unit)
