"""One watcher: a bounded buffer between the cache and a reader of any speed."""

import asyncio
from collections.abc import Iterable, Sequence

from pilothouse.services.apiserver.cache.history import Record
from pilothouse.services.apiserver.cache.selection import Selection
from pilothouse.services.apiserver.requests import WatchEvent
from pilothouse.services.machinery.errors import Expired, TooManyRequests

BUFFER_MAX = 1000
"""Changes a watcher may fall behind by before it is cut off, besides those that came at once."""
BUFFER_BYTES_MAX = 32 * 1024 * 1024
"""The same of their text, which lives on while somebody has yet to take it."""


class Ended(Exception):
    """The watch is over, and nothing was lost."""


class Watcher:
    """Collects what its selection sees, until :meth:`take`."""

    def __init__(self, selection: Selection, after: int) -> None:
        self.selection = selection
        self._plain = not selection.selects
        self._after = after
        self._buffer: list[WatchEvent] = []
        self._wake = asyncio.Event()
        self._cut: Exception | None = None
        self._held = 0
        self._bytes = 0
        self._turn = 0

    def replay(self, records: Iterable[Record]) -> None:
        """Begin with these changes, however many there are."""
        for record in records:
            self._collect(record)
        self._held = len(self._buffer)
        self._bytes = 0
        if self._buffer:
            self._wake.set()

    def offer(self, record: Record, turn: int) -> None:
        """Take note of a change, unless it was cut off.

        Changes of one ``turn`` came in one commit: however many, they are no reader's fault.
        """
        if self._cut is not None or record.revision <= self._after:
            return
        if turn != self._turn:
            self._turn = turn
            if len(self._buffer) - self._held > BUFFER_MAX or self._bytes > BUFFER_BYTES_MAX:
                self._fall_behind()
                return
        self._collect(record)
        if self._buffer:
            self._bytes += len(record.event.object.json)
            self._wake.set()

    def _fall_behind(self) -> None:
        self._buffer = []
        self._cut = TooManyRequests(
            f"the watch fell behind by more than {BUFFER_MAX} changes, "
            f"or {BUFFER_BYTES_MAX} bytes of them",
            retry_after_seconds=1,
        )
        self._wake.set()

    def expire(self) -> None:
        """Changes were lost: the reader must list again."""
        self._cut = Expired("the server lost track of changes, list again")
        self._wake.set()

    def end(self) -> None:
        """Nothing more will come; what has come can still be taken."""
        self._cut = Ended()
        self._wake.set()

    async def wait(self) -> None:
        """Until there is something to take."""
        await self._wake.wait()

    def take(self) -> Sequence[WatchEvent]:
        """All that has come since the last call; raises when the watcher was cut off."""
        self._wake.clear()
        taken, self._buffer = self._buffer, []
        self._held = self._bytes = 0
        if not taken and self._cut is not None:
            raise self._cut
        if self._cut is not None:
            self._wake.set()
        return taken

    def _collect(self, record: Record) -> None:
        selection = self.selection
        if self._plain:
            if not selection.namespace or selection.namespace == record.key.namespace:
                self._buffer.append(record.event)
            return
        was = record.old is not None and selection.matches(record.old)
        now = record.new is not None and selection.matches(record.new)
        if now:
            self._buffer.append(record.event if was or record.old is None else record.come)
        elif was:
            self._buffer.append(record.event if record.new is None else record.gone)
