"""Spans of time as Go writes them: ``1m30s``, ``500ms``, ``0``."""

import re

LENGTH_MAX = 64
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_NUMBER = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)")
_UNITS = {
    "ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0,
}  # fmt: skip


def parse(text: str) -> float:
    """Seconds; ValueError in Go's words where ``text`` is no duration."""
    if text in ("0", "+0", "-0"):
        return 0.0
    shown = text[:LENGTH_MAX]
    if _NUMBER.fullmatch(shown):
        raise ValueError(f'time: missing unit in duration "{shown}"')
    unsigned = text[1:] if text[:1] in ("+", "-") else text
    parts = _PART.findall(unsigned) if len(text) <= LENGTH_MAX else []
    if not parts or "".join(number + unit for number, unit in parts) != unsigned:
        raise ValueError(f'time: invalid duration "{shown}"')
    total = sum(float(number) * _UNITS[unit] for number, unit in parts)
    return -total if text.startswith("-") else total


def render(seconds: float) -> str:
    """``5400`` is ``1h30m0s``, as Go writes it; to the nanosecond."""
    nanoseconds = round(abs(seconds) * 1e9)
    sign = "-" if seconds < 0 and nanoseconds else ""
    if nanoseconds == 0:
        return "0s"
    for unit, size in (("ns", 1), ("µs", 1000), ("ms", 1_000_000)):
        if nanoseconds < size * 1000:
            return f"{sign}{nanoseconds / size:.9g}{unit}"
    minutes, left = divmod(nanoseconds, 60 * 10**9)
    whole, fraction = divmod(left, 10**9)
    text = f"{whole}" + (f".{fraction:09d}".rstrip("0") if fraction else "") + "s"
    if minutes:
        hours, minutes = divmod(minutes, 60)
        text = (f"{hours}h" if hours else "") + f"{minutes}m{text}"
    return sign + text
