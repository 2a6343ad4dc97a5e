"""What a store of the cluster's state speaks in: entries, changes, and its three refusals."""

from dataclasses import dataclass

from typing_extensions import override


class Entry:
    """A live key; revisions as etcd counts them, ``lease`` 0 when it lives until deleted.

    Only :meth:`lie_in` changes it, and nothing that others see of it.
    """

    __slots__ = (
        "_start", "_stop", "_text", "create_revision", "key", "lease", "mod_revision", "version"
    )  # fmt: skip

    def __init__(
        self,
        key: bytes,
        value: bytes,
        create_revision: int,
        mod_revision: int,
        version: int,
        lease: int = 0,
    ) -> None:
        self.key = key
        self.create_revision = create_revision
        self.mod_revision = mod_revision
        self.version = version
        self.lease = lease
        self._text = value
        self._start = self._stop = 0

    @property
    def value(self) -> bytes:
        text, stop = self._text, self._stop
        return text[: self._start] + text[stop:] if stop else text

    def lie_in(self, text: bytes, start: int, stop: int) -> None:
        """Have no bytes of its own: the value is ``text`` without those from start to stop.

        Nothing happens where that is not so.
        """
        if text[:start] + text[stop:] == self.value:
            self._text, self._start, self._stop = text, start, stop

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Entry) and self._fields() == other._fields()

    @override
    def __hash__(self) -> int:
        return hash((self.key, self.mod_revision))

    @override
    def __repr__(self) -> str:
        return f"Entry{self._fields()}"

    def _fields(self) -> tuple[bytes, bytes, int, int, int, int]:
        created, modified = self.create_revision, self.mod_revision
        return self.key, self.value, created, modified, self.version, self.lease


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
