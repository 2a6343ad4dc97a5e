"""Text forms of times, durations and bytes, as Go and OpenAPI read and write them."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import date, datetime, timedelta

from pilothouse.services.machinery.cel.values import Duration, Timestamp

NANOS = 1_000_000_000
_EPOCH = 719163
_LAST_HOUR, _LAST_MINUTE = 23, 59
_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:([Zz])|([+-])(\d\d):(\d\d))?",
    re.ASCII,
)
_UNITS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": NANOS,
    "m": 60 * NANOS,
    "h": 3600 * NANOS,
}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_WORDS = re.compile(r"(\d+)\s*([A-Za-zµ]+)", re.ASCII)
_WORD_UNITS = {
    **dict.fromkeys(("ns", "nano", "nanos", "nanosecond", "nanoseconds"), 1),
    **dict.fromkeys(("us", "µs", "micro", "micros", "microsecond", "microseconds"), 10**3),
    **dict.fromkeys(("ms", "milli", "millis", "millisecond", "milliseconds"), 10**6),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), NANOS),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60 * NANOS),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600 * NANOS),
    **dict.fromkeys(("d", "day", "days"), 86400 * NANOS),
    **dict.fromkeys(("w", "wk", "week", "weeks"), 7 * 86400 * NANOS),
}
EARLIEST = -62135596800 * NANOS
LATEST = 253402300800 * NANOS - 1


def parse_timestamp(text: str, *, zone: bool = True) -> Timestamp:
    """RFC 3339; without `zone` a missing offset means UTC. Raises ValueError."""
    match = _RFC3339.fullmatch(text)
    if match is None or (zone and not (match[8] or match[9])):
        raise ValueError(f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse')
    year, month, day, hour, minute, second = (int(match[i]) for i in range(1, 7))
    if hour > _LAST_HOUR or max(minute, second) > _LAST_MINUTE:
        raise ValueError(f'parsing time "{text}": hour, minute or second out of range')
    days = _ordinal(text, year, month, day)
    seconds = days * 86400 + hour * 3600 + minute * 60 + second
    offset = 0
    if match[9]:
        offset = (int(match[10]) * 3600 + int(match[11]) * 60) * (-1 if match[9] == "-" else 1)
        seconds -= offset
    fraction = int((match[7] or "0")[:9].ljust(9, "0"))
    return Timestamp(seconds * NANOS + fraction, offset)


def _ordinal(text: str, year: int, month: int, day: int) -> int:
    if year == 0:
        raise ValueError(f'parsing time "{text}": year out of range')
    try:
        return date(year, month, day).toordinal() - _EPOCH
    except ValueError:
        raise ValueError(f'parsing time "{text}": day or month out of range') from None


def parse_date_time(text: str) -> Timestamp:
    """OpenAPI's date-time, which may lack the offset. Raises ValueError."""
    return parse_timestamp(text, zone=False)


def parse_date(text: str) -> Timestamp:
    """OpenAPI's date: midnight in UTC. Raises ValueError."""
    match = re.fullmatch(r"(\d{4})-(\d\d)-(\d\d)", text, re.ASCII)
    if match is None:
        raise ValueError(f'parsing time "{text}" as "2006-01-02": cannot parse')
    return Timestamp(_ordinal(text, int(match[1]), int(match[2]), int(match[3])) * 86400 * NANOS)


def render_timestamp(value: Timestamp) -> str:
    """RFC 3339 in its zone with as many digits of the fraction as there are."""
    seconds, fraction = divmod(value.nanos + value.offset * NANOS, NANOS)
    moment = datetime(1970, 1, 1) + timedelta(seconds=seconds)
    digits = f".{fraction:09d}".rstrip("0") if fraction else ""
    minutes = abs(value.offset) // 60
    sign = "-" if value.offset < 0 else "+"
    zone = f"{sign}{minutes // 60:02d}:{minutes % 60:02d}" if minutes else "Z"
    return f"{moment:%Y-%m-%dT%H:%M:%S}".rjust(19, "0") + f"{digits}{zone}"


def parse_duration(text: str) -> Duration:
    """Go's form, `1h2m3.5s`. Raises ValueError."""
    body = text[1:] if text[:1] in ("+", "-") else text
    if body == "0":
        return Duration(0)
    total, last = 0, 0
    for match in _PART.finditer(body):
        if match.start() != last:
            break
        last = match.end()
        whole, _, fraction = match[1].partition(".")
        unit = _UNITS[match[2]]
        total += int(whole or 0) * unit
        if fraction:
            total += int(fraction) * unit // 10 ** len(fraction)
    if not body or last != len(body):
        raise ValueError(f'time: invalid duration "{text}"')
    total = -total if text[0] == "-" else total
    if not -(2**63) <= total < 2**63:
        raise ValueError(f'time: invalid duration "{text}"')
    return Duration(total)


def parse_schema_duration(text: str) -> Duration:
    """OpenAPI's duration: Go's form or words such as `3 days`. Raises ValueError."""
    try:
        return parse_duration(text)
    except ValueError:
        pass
    total, found = 0, False
    for match in _WORDS.finditer(text):
        unit = _WORD_UNITS.get(match[2].lower())
        if unit is not None:
            total, found = total + int(match[1]) * unit, True
    if not found:
        raise ValueError(f"unable to parse {text} as duration")
    return Duration(total)


def render_duration(value: Duration) -> str:
    """Seconds without an exponent: `5400s`, `1.5s`."""
    whole, fraction = divmod(abs(value.nanos), NANOS)
    digits = f".{fraction:09d}".rstrip("0") if fraction else ""
    return f"{'-' if value.nanos < 0 else ''}{whole}{digits}s"


def decode_base64(text: str) -> bytes:
    """Standard base64 with padding. Raises ValueError."""
    try:
        return base64.b64decode(text.replace("\n", "").replace("\r", ""), validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
