"""One container's log file."""

import contextlib
import os
from datetime import UTC, datetime
from pathlib import Path

from pilothouse.cri_shim.logs.lines import Splitter

FILE_MODE = 0o640
DIRECTORY_MODE = 0o755
NANOSECONDS = 1_000_000_000


def stamp(now: float) -> str:
    """RFC 3339 with nine digits, in UTC: all of the same length."""
    seconds = int(now)
    whole = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{int((now - seconds) * NANOSECONDS):09d}Z"


class LogFile:
    """Entries of both streams, appended. Without a path they are dropped.

    A disk that is full costs entries, never the container.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = _open(path)
        self._splitters = {name: Splitter(name) for name in ("stdout", "stderr")}

    def write(self, stream: str, chunk: bytes, now: float) -> None:
        """What a stream printed."""
        if self._fd >= 0:
            self._append(self._splitters[stream].feed(chunk, stamp(now)))

    def finish(self, stream: str, now: float) -> None:
        """The stream has ended."""
        if self._fd >= 0:
            self._append(self._splitters[stream].finish(stamp(now)))

    def _append(self, entries: bytes) -> None:
        left = memoryview(entries)
        with contextlib.suppress(OSError):
            while left:
                left = left[os.write(self._fd, left) :]

    def reopen(self) -> None:
        """Go on in a new file; OSError when there can be none, and then in the old one."""
        before, self._fd = self._fd, _open(self._path)
        if before >= 0:
            os.close(before)

    def close(self) -> None:
        """No more."""
        before, self._fd = self._fd, -1
        if before >= 0:
            os.close(before)


def _open(path: str) -> int:
    if not path:
        return -1
    Path(path).parent.mkdir(parents=True, exist_ok=True, mode=DIRECTORY_MODE)
    flags = os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
    return os.open(path, flags, FILE_MODE)
