"""Multi-version keys: what is live, durably and at the tip.

Two views of the same keys. The *durable* one is what readers see. The *tip* adds the groups of
changes that are on their way to the disk, and is what the next transaction is judged by.
A change is staged (tip moves), written by the caller, then settled (the durable view moves).
The history behind the live keys is the journal's.
"""

from collections.abc import Iterable, Sequence
from itertools import islice

from sortedcontainers import SortedDict

from pilothouse.services.machinery.storage import Change, Entry
from pilothouse.services.store.spans import Span

FIRST_REVISION = 1


class Revisions:
    """The live keys in memory; values are shared with whoever reads them, never copied.

    ``revision`` is the newest durable revision, ``tip`` the newest staged one, ``compacted`` the
    revision before which history is gone (0: all is there).
    """

    def __init__(
        self, entries: Iterable[Entry] = (), *, revision: int = FIRST_REVISION, compacted: int = 0
    ) -> None:
        self.revision = revision
        self.tip = revision
        self.compacted = compacted
        self._live: SortedDict = SortedDict((entry.key, entry) for entry in entries)
        self._ahead: dict[bytes, Change] = {}

    def durable(self, key: bytes) -> Entry | None:
        """The entry that readers see."""
        entry: Entry | None = self._live.get(key)
        return entry

    def newest(self, key: bytes) -> Entry | None:
        """The entry at the tip."""
        change = self._ahead.get(key)
        if change is not None:
            return change.entry
        entry: Entry | None = self._live.get(key)
        return entry

    def in_flight(self, key: bytes) -> bool:
        """The key has changes that are not durable yet."""
        return key in self._ahead

    def durable_range(self, span: Span, limit: int | None = None) -> list[Entry]:
        """What readers see in ``span``, by key; the first ``limit`` of it."""
        live = self._live
        return [live[key] for key in islice(self._keys(span), limit)]

    def durable_count(self, span: Span) -> int:
        """How many keys readers see in ``span``."""
        end: int = len(self._live) if span.end is None else self._live.bisect_left(span.end)
        start: int = self._live.bisect_left(span.first)
        return max(0, end - start)

    def newest_range(self, span: Span) -> list[Entry]:
        """What is in ``span`` at the tip, by key."""
        changed = {key: change.entry for key, change in self._ahead.items() if key in span}
        if not changed:
            return self.durable_range(span)
        entries = {key: self._live[key] for key in self._keys(span)} | changed
        return [entry for _, entry in sorted(entries.items()) if entry is not None]

    def put(self, key: bytes, value: bytes, lease: int, revision: int) -> Change:
        """Stage a put as part of ``revision``, which is the tip or the one after it."""
        previous = self.newest(key)
        if previous is None:
            entry = Entry(key, value, revision, revision, 1, lease)
        else:
            entry = Entry(
                key, value, previous.create_revision, revision, previous.version + 1, lease
            )
        return self._stage(Change(key, revision, entry, previous))

    def delete(self, previous: Entry, revision: int) -> Change:
        """Stage the deletion of an entry that is at the tip."""
        return self._stage(Change(previous.key, revision, None, previous))

    def settle(self, changes: Sequence[Change]) -> None:
        """Staged changes are durable: show them to readers. In the order they were staged."""
        live, ahead = self._live, self._ahead
        for change in changes:
            key = change.key
            if change.entry is not None:
                live[key] = change.entry
            else:
                live.pop(key, None)
            if ahead[key] is change:
                del ahead[key]
        if changes:
            self.revision = changes[-1].revision

    def size(self) -> int:
        """How many keys are live, durably."""
        return len(self._live)

    def _stage(self, change: Change) -> Change:
        self._ahead[change.key] = change
        self.tip = change.revision
        return change

    def _keys(self, span: Span) -> Iterable[bytes]:
        if span.single:
            return (span.first,) if span.first in self._live else ()
        if span.end is not None and span.end <= span.first:
            return ()
        keys: Iterable[bytes] = self._live.irange(span.first, span.end, inclusive=(True, False))
        return keys
