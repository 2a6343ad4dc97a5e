"""RFC 3339 text to seconds since the epoch and back; reads no clock."""

from datetime import UTC, datetime
from functools import lru_cache


def parse(text: str) -> float:
    """Seconds since the epoch; ValueError on anything but RFC 3339."""
    return datetime.fromisoformat(text).timestamp()


def render(seconds: float) -> str:
    """``metav1.Time``: whole seconds, UTC, ``Z``."""
    return _render(int(seconds))


@lru_cache(maxsize=64)
def _render(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def render_micro(seconds: float) -> str:
    """``metav1.MicroTime``: microseconds, UTC, ``Z``."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
