"""The live objects of one kind, in the order of their names."""

from collections.abc import Callable

import msgspec

from pilothouse.services.apiserver.cache.audience import Audience
from pilothouse.services.apiserver.cache.history import History, Record
from pilothouse.services.apiserver.cache.items import Encoding, Extract, Item
from pilothouse.services.apiserver.cache.labelindex import LabelIndex
from pilothouse.services.apiserver.cache.listed import Listed
from pilothouse.services.apiserver.cache.selection import Selection
from pilothouse.services.apiserver.kinds.custom import Custom
from pilothouse.services.apiserver.kinds.kind import Kind
from pilothouse.services.apiserver.requests import Stored, WatchEvent
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.storage import Entry

Listener = Callable[[Stored | None, Stored | None], None]
_NONE: dict[str, Item] = {}
_NOTHING = Listed()
SELECTIONS_MAX = 64
"""Found selections that are kept until an object changes: whoever polls asks the same again."""


class KindCache:
    """Objects by namespace and name, the history of the kind, and its watchers."""

    def __init__(self, kind: Kind, extract: Extract) -> None:
        self.kind = kind
        self.encoding = Encoding(kind)
        self.history = History(0)
        self.revision = 0
        self._extract = extract
        self._items: dict[str, dict[str, Item]] = {}
        self._ordered: dict[str, list[str]] = {}
        self._listed: dict[str, Listed] = {}
        self._selected: dict[Selection, Listed] = {}
        self._labels = LabelIndex()
        self.audience = Audience(namespaced=kind.namespaced)
        self._listeners: list[Listener] = []

    def __len__(self) -> int:
        return sum(map(len, self._items.values()))

    def get(self, key: Key) -> Item | None:
        return self._items.get(key.namespace, _NONE).get(key.name)

    def keys(self) -> set[Key]:
        """The key of every live object."""
        return {Key(namespace, name) for namespace, items in self._items.items() for name in items}

    def items(self, namespace: str = "") -> Listed:
        """Those of a namespace, or all, by namespace and name."""
        if namespace or not self.kind.namespaced:
            return self._sorted(namespace)
        listed = self._listed.get("")
        if listed is None:
            names = sorted(self._items, key=_slashed)
            listed = self._listed[""] = Listed(
                item for name in names for item in self._sorted(name)
            )
        return listed

    def select(self, selection: Selection) -> list[Item]:
        """What ``selection`` sees, by namespace and name."""
        if selection.name and (selection.namespace or not self.kind.namespaced):
            found = self.get(Key(selection.namespace, selection.name))
            return [found] if found is not None and selection.matches(found) else []
        if not selection.selects:
            return self.items(selection.namespace)
        found_before = self._selected.get(selection)
        if found_before is None:
            if len(self._selected) >= SELECTIONS_MAX:
                self._selected.clear()
            found_before = self._selected[selection] = Listed(self._find(selection))
        return found_before

    def _find(self, selection: Selection) -> list[Item]:
        matches = selection.matches
        every = (item for items in self._items.values() for item in items.values())
        found_by_label = self._labels.candidates(selection.labels.requirements, every)
        if found_by_label is not None:
            return sorted((item for item in found_by_label if matches(item)), key=place)
        return [item for item in self.items(selection.namespace) if matches(item)]

    def select_at(self, selection: Selection, revision: int) -> list[Item]:
        """The same as it was at ``revision``; Expired when that is forgotten."""
        if revision >= self.revision:
            return self.select(selection)
        then: dict[Key, Item | None] = {}
        for record in reversed(self.history.after(revision)):
            then[record.key] = record.old
        items = [item for item in self.items() if item.key not in then]
        items += [item for item in then.values() if item is not None]
        return sorted((item for item in items if selection.matches(item)), key=place)

    def subscribe(self, listener: Listener) -> None:
        """Call ``listener(old, new)`` on every change; it must not block."""
        self._listeners.append(listener)

    def dismiss(self, *, over: bool = False) -> None:
        """End all watches: changes were missed, or what is watched is ``over``."""
        for watcher in self.audience:
            if over:
                watcher.end()
            else:
                watcher.expire()

    def put(self, key: Key, entry: Entry, turn: int = 0) -> None:
        """``entry`` is there from its revision on; those of one ``turn`` come at once."""
        old = self.get(key)
        if old is not None:
            key = old.key
        revision = entry.mod_revision
        item = self.item(key, entry.value, revision)
        self.encoding.share(entry, item.stored.json)
        self._set(key, item)
        event = WatchEvent("ADDED" if old is None else "MODIFIED", item.stored)
        self._tell(Record(revision, key, old, item, event), turn)

    def drop(self, key: Key, revision: int, turn: int = 0) -> None:
        """``key`` is gone from ``revision`` on."""
        items = self._items.get(key.namespace, _NONE)
        old = items.pop(key.name, None)
        if old is None:
            return
        if not items:
            del self._items[key.namespace]
        self._ordered.pop(key.namespace, None)
        self._changed(key.namespace)
        self._labels.replace(key, old, None)
        json = self.encoding.at_revision(old.stored.json, revision)
        last = Stored(key, revision, json, deleted=True)
        self._tell(Record(revision, key, old, None, WatchEvent("DELETED", last)), turn)

    def load(self, key: Key, value: bytes, revision: int, *, stale: bool = False) -> Stored:
        """Fill at start: no history, nobody is told but the subscribers; what readers get.

        ``stale``: ``value`` is not what the store keeps.
        """
        item = self.item(key, value, revision)
        item.stale |= stale
        self._set(key, item)
        self.revision = max(self.revision, revision)
        for listener in self._listeners:
            listener(None, item.stored)
        return item.stored

    def item(self, key: Key, value: bytes, revision: int) -> Item:
        """A stored ``value`` as an item, which is not put in its place."""
        custom = self.kind.custom
        fitted = value if custom is None else _fitted(custom, value)
        stale = fitted is not value or not self.encoding.is_own(value)
        json = self.encoding.with_revision(fitted, revision)
        return Item(Stored(key, revision, json), self._extract, stale=stale)

    def _set(self, key: Key, item: Item) -> None:
        items = self._items.setdefault(key.namespace, {})
        if key.name not in items:
            self._ordered.pop(key.namespace, None)
        self._changed(key.namespace)
        self._labels.replace(key, items.get(key.name), item)
        items[key.name] = item

    def _changed(self, namespace: str) -> None:
        self._listed.pop(namespace, None)
        self._listed.pop("", None)
        self._selected.clear()

    def _sorted(self, namespace: str) -> Listed:
        listed = self._listed.get(namespace)
        if listed is not None:
            return listed
        items = self._items.get(namespace)
        if not items:
            return _NOTHING
        names = self._ordered.get(namespace)
        if names is None:
            names = self._ordered[namespace] = sorted(items)
        listed = self._listed[namespace] = Listed(items[name] for name in names)
        return listed

    def _tell(self, record: Record, turn: int) -> None:
        self.revision = record.revision
        self.history.add(record)
        for watcher in self.audience.of(record):
            watcher.offer(record, turn)
        old = record.old.stored if record.old is not None else None
        new = record.new.stored if record.new is not None else None
        for listener in self._listeners:
            listener(old, new)


def _fitted(custom: Custom, value: bytes) -> bytes:
    """What is stored may have been written under another schema."""
    document = msgspec.json.decode(value, type=dict)
    return msgspec.json.encode(document) if custom.treatment.fit(document) else value


def place(item: Item) -> str:
    """What items are ordered by: the rest of their key in the store."""
    key = item.stored.key
    return f"{key.namespace}/{key.name}" if key.namespace else key.name


def _slashed(namespace: str) -> str:
    return f"{namespace}/"
