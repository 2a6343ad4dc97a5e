"""What an admission step sees."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from pilothouse.services.apiserver.kinds.kind import Kind
from pilothouse.services.apiserver.requests import Stored, User
from pilothouse.services.machinery.objects import Key

Document = dict[str, Any]


class Live(Protocol):
    """The live objects of any kind, as the cache has them now."""

    def find(self, group: str, plural: str, key: Key) -> Stored | None: ...
    def objects(self, group: str, plural: str) -> Iterable[Stored]: ...


@dataclass(frozen=True, slots=True)
class Admission:
    """One object about to be created. ``suffix`` gives the end of a generated name."""

    user: User
    kind: Kind
    key: Key
    document: Document
    live: Live
    suffix: str
