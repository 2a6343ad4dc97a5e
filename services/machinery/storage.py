"""What a store of the cluster's state speaks in: entries, changes, and its three refusals."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """A live key; revisions as etcd counts them, ``lease`` 0 when it lives until deleted."""

    key: bytes
    value: bytes
    create_revision: int
    mod_revision: int
    version: int
    lease: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """A key was put (``entry``) or deleted (``entry`` None); ``previous`` is what was there."""

    key: bytes
    revision: int
    entry: Entry | None
    previous: Entry | None


@dataclass(frozen=True, slots=True)
class Progress:
    """Every change up to ``revision`` has been handed out by the watch that says so."""

    revision: int


class Changed(Exception):
    """The key is not at the revision that the writer expected; ``current`` is what is there."""

    def __init__(self, key: bytes, current: Entry | None) -> None:
        super().__init__(f"{key!r} is not at the expected revision")
        self.key = key
        self.current = current


class Compacted(Exception):
    """History before ``oldest`` is gone."""

    def __init__(self, oldest: int) -> None:
        super().__init__(f"revisions before {oldest} have been compacted")
        self.oldest = oldest


class Unavailable(Exception):
    """The store does not answer, or refuses writes (disk full, quota)."""


class Undecided(Unavailable):
    """The answer was lost: what was asked may have happened or not."""
