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
