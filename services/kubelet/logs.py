"""Container logs as the runtime writes them: lines, selection, what a person gets. Pure.

A line is ``TIME stdout|stderr F|P text``; ``P`` is a part of a long line, the rest follows.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.errors import BadRequest


@dataclass(frozen=True, slots=True)
class Options:
    """What of a log is wanted; ``since`` in seconds since the epoch."""

    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    since: float | None = None
    limit_bytes: int | None = None
    stream: str = "All"


def parse_options(query: Mapping[str, str], now: float) -> Options:
    """From query parameters; BadRequest on a number that is none."""
    since_seconds = _number(query, "sinceSeconds")
    since = None if since_seconds is None else now - since_seconds
    if query.get("sinceTime"):
        try:
            since = timestamps.parse(query["sinceTime"])
        except ValueError:
            raise BadRequest(f"sinceTime: {query['sinceTime']!r} is no RFC 3339 time") from None
    return Options(
        follow=_truth(query, "follow"),
        previous=_truth(query, "previous"),
        timestamps=_truth(query, "timestamps"),
        tail_lines=_number(query, "tailLines"),
        since=since,
        limit_bytes=_number(query, "limitBytes"),
        stream=query.get("stream") or "All",
    )


def _truth(query: Mapping[str, str], name: str) -> bool:
    return query.get(name, "").lower() in {"true", "1"}


def _number(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name, "")
    if not text:
        return None
    if not text.isdigit():
        raise BadRequest(f"{name}: {text!r} is not a whole number from 0 on")
    return int(text)


class Renderer:
    """Raw lines to what is sent, in order; ``is_full`` once the byte limit is reached."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._left = options.limit_bytes
        self._is_new_line = True
        self._passed = options.since is None

    @property
    def is_full(self) -> bool:
        return self._left is not None and self._left <= 0

    def render(self, line: bytes) -> bytes:
        """What ``line`` (without its newline) adds to the answer."""
        time, _, rest = line.partition(b" ")
        stream, _, rest = rest.partition(b" ")
        if self._options.stream not in ("All", stream.decode().capitalize()):
            return b""
        tag, _, text = rest.partition(b" ")
        if not self._passed:
            self._passed = _is_since(time, self._options.since)
        if not self._passed:
            return b""
        shown = b""
        if self._options.timestamps and self._is_new_line:
            shown = time + b" "
        self._is_new_line = not tag.startswith(b"P")
        shown += text + (b"\n" if self._is_new_line else b"")
        if self._left is not None:
            shown = shown[: self._left]
            self._left -= len(shown)
        return shown


def _is_since(time: bytes, since: float | None) -> bool:
    try:
        return since is None or timestamps.parse(_microseconds(time.decode())) >= since
    except ValueError:
        return True


def _microseconds(text: str) -> str:
    """The runtime writes nanoseconds, more than a datetime holds."""
    head, dot, rest = text.partition(".")
    if not dot:
        return text
    digits = len(rest) - len(rest.lstrip("0123456789"))
    return f"{head}.{rest[: min(digits, 6)]}{rest[digits:]}"
