"""The log format of CRI: ``<time> stdout F <line>``, or ``P`` for a part of a longer one."""

LINE_BYTES_MAX = 16 * 1024
FULL, PARTIAL = b"F", b"P"


class Splitter:
    """One stream's bytes to entries; holds at most :data:`LINE_BYTES_MAX` bytes between calls."""

    def __init__(self, stream: str, line_bytes_max: int = LINE_BYTES_MAX) -> None:
        self._stream = stream.encode()
        self._max = line_bytes_max
        self._rest = b""

    def feed(self, chunk: bytes, stamp: str) -> bytes:
        """The entries that are complete with ``chunk``."""
        *lines, rest = (self._rest + chunk).split(b"\n")
        entries: list[bytes] = []
        full, partial = self._heads(stamp)
        for line in lines:
            last = self._cut(line, partial, entries)
            entries += (full, last, b"\n")
        self._rest = self._cut(rest, partial, entries)
        return b"".join(entries)

    def finish(self, stamp: str) -> bytes:
        """What came after the last newline: nobody ends it any more."""
        rest, self._rest = self._rest, b""
        return self._heads(stamp)[1] + rest + b"\n" if rest else b""

    def _cut(self, line: bytes, partial: bytes, entries: list[bytes]) -> bytes:
        """Everything but the last part of a line becomes partial entries."""
        start = 0
        while len(line) - start > self._max:
            entries += (partial, line[start : start + self._max], b"\n")
            start += self._max
        return line[start:] if start else line

    def _heads(self, stamp: str) -> tuple[bytes, bytes]:
        head = b"%s %s " % (stamp.encode(), self._stream)
        return head + FULL + b" ", head + PARTIAL + b" "
