"""What is listed whole, over and over: the items of a namespace and their texts, gathered once."""

from pilothouse.services.apiserver.cache.items import Item
from pilothouse.services.apiserver.requests import Stored


class Listed(list[Item]):
    """Items in the order of their names, until one of them changes."""

    __slots__ = ("_size", "_stored", "_texts")

    _stored: list[Stored]
    _texts: list[bytes]
    _size: int

    @property
    def stored(self) -> list[Stored]:
        """The objects themselves."""
        try:
            return self._stored
        except AttributeError:
            self._gather()
            return self._stored

    @property
    def texts(self) -> list[bytes]:
        """What readers get of each."""
        try:
            return self._texts
        except AttributeError:
            self._gather()
            return self._texts

    @property
    def size(self) -> int:
        """Bytes of all texts."""
        try:
            return self._size
        except AttributeError:
            self._gather()
            return self._size

    def _gather(self) -> None:
        self._stored = [item.stored for item in self]
        self._texts = [stored.json for stored in self._stored]
        self._size = sum(map(len, self._texts))
