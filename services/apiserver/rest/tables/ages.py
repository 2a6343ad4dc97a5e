"""Durations as kubectl writes them: short, and coarser the longer they are."""

from pilothouse.services.machinery import timestamps

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR
YEAR = 365 * DAY

# Up to this many seconds: (unit, its letter, smaller unit shown beside it or 0, its letter).
_STEPS: tuple[tuple[int, int, str, int, str], ...] = (
    (2 * MINUTE, 1, "s", 0, ""),
    (10 * MINUTE, MINUTE, "m", 1, "s"),
    (3 * HOUR, MINUTE, "m", 0, ""),
    (8 * HOUR, HOUR, "h", MINUTE, "m"),
    (2 * DAY, HOUR, "h", 0, ""),
    (8 * DAY, DAY, "d", HOUR, "h"),
    (2 * YEAR, DAY, "d", 0, ""),
    (8 * YEAR, YEAR, "y", DAY, "d"),
)


def human(seconds: float) -> str:
    """``5m10s``, ``3h``, ``2y45d``; ``<invalid>`` for what lies in the future."""
    if seconds <= -2:  # noqa: PLR2004 - kubectl forgives clocks that differ by up to a second
        return "<invalid>"
    whole = max(int(seconds), 0)
    for below, unit, letter, smaller, small_letter in _STEPS:
        if whole < below:
            rest = whole % unit // smaller if smaller else 0
            return f"{whole // unit}{letter}" + (f"{rest}{small_letter}" if rest else "")
    return f"{whole // YEAR}y"


def since(timestamp: str | None, now: float) -> str:
    """The age of an RFC 3339 time; ``<unknown>`` where there is none."""
    if not timestamp:
        return "<unknown>"
    try:
        return human(now - timestamps.parse(timestamp))
    except ValueError:
        return "<unknown>"
