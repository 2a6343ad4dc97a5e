"""Who watches what, and the hand-over of each commit's changes to them.

A watcher follows in memory as long as it keeps up. Its queue is bounded; when it overflows the
queue is dropped and the watcher reads what it missed from the journal, in bounded parts, then
follows again. So a slow consumer costs no memory and loses nothing, until compaction takes the
history it still needs: then its stream ends with Compacted.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence

from pilothouse.services.machinery.storage import Change, Compacted, Unavailable
from pilothouse.services.store.ports import Journal
from pilothouse.services.store.revisions import Revisions
from pilothouse.services.store.spans import Span

QUEUED_CHANGES_MAX = 10_000
REPLAY_CHANGES = 1_000


class Watcher:
    """One consumer's place in the order of revisions."""

    def __init__(self, span: Span) -> None:
        self.span = span
        self.missed_after = 0
        self._batches: deque[Sequence[Change]] = deque()
        self._queued = 0
        self._overflowed = False
        self._marked = False
        self._ended = False
        self._wake: asyncio.Future[None] | None = None

    def offer(self, changes: Sequence[Change]) -> None:
        """Queue one commit's changes, or overflow."""
        if self._overflowed:
            return
        self._queued += len(changes)
        if self._queued > QUEUED_CHANGES_MAX:
            first = self._batches[0] if self._batches else changes
            self.missed_after = first[0].revision - 1
            self._batches.clear()
            self._queued = 0
            self._overflowed = True
        else:
            self._batches.append(changes)
        self._look()

    def mark(self) -> None:
        """Ask for one empty batch once all that is durable has been taken."""
        self._marked = True
        self._look()

    def end(self) -> None:
        """The store closes."""
        self._ended = True
        self._look()

    async def take(self) -> Sequence[Change] | None:
        """The next commit's changes, or None after an overflow: read the journal."""
        while not self._batches:
            if self._ended:
                raise Unavailable("the store is closing")
            if self._overflowed:
                return None
            if self._marked:
                self._marked = False
                return ()
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake
        batch = self._batches.popleft()
        self._queued -= len(batch)
        return batch

    def reset(self) -> None:
        """Queue again from now on."""
        self._batches.clear()
        self._queued = 0
        self._overflowed = False

    def _look(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)


class Hub:
    """All watchers, found by key: by prefix where the span is one, else one by one."""

    def __init__(self, journal: Journal, revisions: Revisions) -> None:
        self._journal = journal
        self._revisions = revisions
        self._prefixes: dict[int, dict[bytes, list[Watcher]]] = {}
        self._others: list[Watcher] = []
        self._ended = False

    def publish(self, changes: Sequence[Change]) -> None:
        """Offer one commit's changes to those who watch their keys."""
        batches: dict[Watcher, list[Change]] = {}
        for length, watched in self._prefixes.items():
            for change in changes:
                watchers = watched.get(change.key[:length])
                if watchers is not None:
                    for watcher in watchers:
                        batches.setdefault(watcher, []).append(change)
        for watcher in self._others:
            batch = [change for change in changes if change.key in watcher.span]
            if batch:
                batches[watcher] = batch
        for watcher, batch in batches.items():
            watcher.offer(batch)

    def end(self) -> None:
        """End every stream."""
        self._ended = True
        for watcher in self._all():
            watcher.end()

    async def stream(self, watcher: Watcher, after: int) -> AsyncIterator[Sequence[Change]]:
        """Changes in the watcher's span after a revision, a batch a commit.

        A revision in the future is waited for. A batch is empty only where the watcher was marked.
        Raises Compacted, and Unavailable when the store closes.
        """
        if self._ended:
            raise Unavailable("the store is closing")
        self._follow(watcher)
        try:
            while True:
                watcher.reset()
                durable = self._revisions.revision
                while after < durable:
                    changes, after = await self._missed(watcher.span, after, durable)
                    if changes:
                        yield changes
                while (batch := await watcher.take()) is not None:
                    if batch and batch[0].revision <= after:
                        batch = [change for change in batch if change.revision > after]
                        if not batch:
                            continue
                    yield batch
                after = max(after, watcher.missed_after)
        finally:
            self._unfollow(watcher)

    async def _missed(self, span: Span, after: int, until: int) -> tuple[Sequence[Change], int]:
        found = await self._journal.changes(span, after, until, REPLAY_CHANGES)
        # Asked afterwards: a compaction during the read may have taken rows from it.
        if after + 1 < self._revisions.compacted:
            raise Compacted(self._revisions.compacted)
        return found

    def _all(self) -> list[Watcher]:
        return [
            watcher
            for watched in self._prefixes.values()
            for watchers in watched.values()
            for watcher in watchers
        ] + self._others

    def _follow(self, watcher: Watcher) -> None:
        prefix = watcher.span.prefix()
        if prefix is None:
            self._others.append(watcher)
        else:
            self._prefixes.setdefault(len(prefix), {}).setdefault(prefix, []).append(watcher)

    def _unfollow(self, watcher: Watcher) -> None:
        prefix = watcher.span.prefix()
        if prefix is None:
            self._others.remove(watcher)
            return
        watched = self._prefixes[len(prefix)]
        watched[prefix].remove(watcher)
        if not watched[prefix]:
            del watched[prefix]
        if not watched:
            del self._prefixes[len(prefix)]
