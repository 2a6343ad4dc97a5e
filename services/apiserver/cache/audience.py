"""The watchers of a kind, found by what changed: a change costs those whom it may concern.

A watcher stands in exactly one place: under a name, under the value of one indexed field, under
a namespace, or under all.
"""

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from pilothouse.services.apiserver.cache.history import Record
from pilothouse.services.apiserver.cache.selection import Selection
from pilothouse.services.apiserver.cache.watching import Watcher

INDEXED = "spec.nodeName"
"""The one field by which many watch, each for itself: the kubelets."""

_Place: TypeAlias = tuple[str, str, str]
_NOBODY: dict[Watcher, None] = {}


class Audience:
    """Who watches."""

    def __init__(self, *, namespaced: bool) -> None:
        self._namespaced = namespaced
        self._places: dict[_Place, dict[Watcher, None]] = {}
        self._fields = 0
        self._names = 0

    def __iter__(self) -> Iterator[Watcher]:
        for watchers in self._places.values():
            yield from watchers

    def __len__(self) -> int:
        return sum(map(len, self._places.values()))

    def open(self, selection: Selection, after: int, records: Iterable[Record] = ()) -> Watcher:
        """A watcher of all changes after ``after``, of which ``records`` have happened already."""
        watcher = Watcher(selection, after)
        watcher.replay(records)
        self.add(watcher)
        return watcher

    def add(self, watcher: Watcher) -> None:
        place = self._place(watcher.selection)
        self._count(place, 1)
        self._places.setdefault(place, {})[watcher] = None

    def remove(self, watcher: Watcher) -> None:
        """Take a watcher out, if it is in."""
        place = self._place(watcher.selection)
        watchers = self._places.get(place)
        if watchers is None or watcher not in watchers:
            return
        del watchers[watcher]
        self._count(place, -1)
        if not watchers:
            del self._places[place]

    def of(self, record: Record) -> Iterator[Watcher]:
        """Those whom a change may concern."""
        if not self._places:
            return
        key = record.key
        yield from self._places.get(("namespace", "", ""), _NOBODY)
        if key.namespace:
            yield from self._places.get(("namespace", key.namespace, ""), _NOBODY)
        if self._names:
            yield from self._places.get(("name", key.namespace, key.name), _NOBODY)
        if self._fields:
            for value in _values(record):
                yield from self._places.get(("field", value, ""), _NOBODY)

    def _place(self, selection: Selection) -> _Place:
        if selection.name and (selection.namespace or not self._namespaced):
            return "name", selection.namespace, selection.name
        for wanted in selection.fields:
            if wanted.path == INDEXED and wanted.equal:
                return "field", wanted.value, ""
        return "namespace", selection.namespace, ""

    def _count(self, place: _Place, change: int) -> None:
        if place[0] == "name":
            self._names += change
        elif place[0] == "field":
            self._fields += change


def _values(record: Record) -> set[str]:
    """What the indexed field said before, and says now."""
    return {item.fields.get(INDEXED, "") for item in (record.old, record.new) if item is not None}
