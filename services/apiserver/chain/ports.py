"""What authentication and authorization need to know of the cluster."""

from collections.abc import Iterable
from typing import Protocol

from pilothouse.services.apiserver.requests import Stored
from pilothouse.services.machinery.objects import Key


class Live(Protocol):
    """The live objects of any kind, as the cache has them now."""

    def find(self, group: str, plural: str, key: Key) -> Stored | None:
        """The object of that key, if it is there."""

    def objects(self, group: str, plural: str) -> Iterable[Stored]:
        """Every object of the kind."""

    def mark(self, group: str, plural: str) -> int:
        """A number that is another one after any change of the kind."""
