"""The last changes of a kind, for watches that resume and for pages of an older state."""

from collections import deque
from dataclasses import dataclass

from pilothouse.services.apiserver.cache.items import Item
from pilothouse.services.apiserver.requests import WatchEvent
from pilothouse.services.machinery.errors import Expired
from pilothouse.services.machinery.objects import Key

CHANGES_MAX = 4096
BYTES_MAX = 4 * 1024 * 1024
"""Of texts that only the history keeps: what is live costs it nothing."""


@dataclass(frozen=True, slots=True)
class Record:
    """One change: ``new`` None for a deletion, ``old`` None for a birth; what watchers get."""

    revision: int
    key: Key
    old: Item | None
    new: Item | None
    event: WatchEvent

    @property
    def kept(self) -> int:
        """Bytes of what is live no longer: the former text, and that of a deletion."""
        former = 0 if self.old is None else len(self.old.stored.json)
        return former if self.new is not None else former + len(self.event.object.json)

    @property
    def gone(self) -> WatchEvent:
        """What a watcher gets whose selection the object has left: its new state, as DELETED."""
        return WatchEvent("DELETED", self.event.object)

    @property
    def come(self) -> WatchEvent:
        """What a watcher gets whose selection the object has entered."""
        return WatchEvent("ADDED", self.event.object)


class History:
    """A ring bounded by count and bytes; knows every change after ``since``."""

    def __init__(self, since: int) -> None:
        self.since = since
        self._records: deque[Record] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._records)

    def add(self, record: Record) -> None:
        self._records.append(record)
        self._bytes += record.kept
        while len(self._records) > CHANGES_MAX or self._bytes > BYTES_MAX:
            oldest = self._records.popleft()
            self._bytes -= oldest.kept
            self.since = oldest.revision

    def after(self, revision: int) -> list[Record]:
        """Every change after ``revision`` in order; Expired when some are forgotten."""
        if revision < self.since:
            raise Expired(f"too old resource version: {revision} ({self.since})")
        found = []
        for record in reversed(self._records):
            if record.revision <= revision:
                break
            found.append(record)
        found.reverse()
        return found
