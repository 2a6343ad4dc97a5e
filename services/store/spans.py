"""Ranges of keys, as etcd writes them."""

from dataclasses import dataclass
from typing import ClassVar

_ALL_AFTER = b"\0"


@dataclass(frozen=True, slots=True)
class Span:
    """The keys from ``first`` up to and without ``end``; ``end`` None has no upper bound."""

    first: bytes
    end: bytes | None

    ALL: ClassVar["Span"]

    def __contains__(self, key: bytes) -> bool:
        return key >= self.first and (self.end is None or key < self.end)

    def prefix(self) -> bytes | None:
        """The prefix that this span is, or None when it is another kind of range."""
        return self.first if self.end == _successor(self.first) else None

    @property
    def single(self) -> bool:
        """The span holds exactly the key ``first``."""
        return self.end == self.first + b"\0"


Span.ALL = Span(b"", None)


def of_request(key: bytes, range_end: bytes) -> Span:
    """The span of a request: no end is one key, an end of one zero byte is every key after."""
    if not range_end:
        return Span(key, key + b"\0")
    return Span(key, None if range_end == _ALL_AFTER else range_end)


def of_prefix(prefix: bytes) -> Span:
    """The keys that start with ``prefix``."""
    return Span(prefix, _successor(prefix))


def _successor(prefix: bytes) -> bytes | None:
    kept = prefix.rstrip(b"\xff")
    return kept[:-1] + bytes([kept[-1] + 1]) if kept else None
