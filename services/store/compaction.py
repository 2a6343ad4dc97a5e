"""Which rows of history nobody can ask for any more, and when to forget on our own."""

from collections.abc import Sequence
from dataclasses import dataclass

INTERVAL_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Row:
    """A change as the journal numbers it; ``previous`` is the row that it supersedes."""

    id: int
    is_deletion: bool
    previous: int | None


def plan(rows: Sequence[Row], *, keep_from: int) -> tuple[int, list[int]]:
    """How far these compacted rows are swept, and the ids that go.

    What a row superseded goes with it. A deletion goes too, but not those at the compacted
    revision itself (``keep_from`` and after): a watch may still start there, so the sweep stops
    before them and the next compaction takes them.
    """
    swept = 0
    superfluous: list[int] = []
    for row in rows:
        if row.previous is not None:
            superfluous.append(row.previous)
        if row.id < keep_from:
            swept = row.id
            if row.is_deletion:
                superfluous.append(row.id)
    return swept, superfluous


@dataclass(frozen=True, slots=True)
class Periodic:
    """Compact to what was the newest revision one interval ago, as etcd and Kubernetes do."""

    seen: int = 0

    def tick(self, revision: int) -> tuple["Periodic", int]:
        """The state for the next tick, and the revision to compact to now (0: none yet)."""
        return Periodic(revision), self.seen
