"""Objects by the value of a label, for the label keys that lists ask for.

A key is indexed from the first list that selects by it; of many keys the least recently asked for
is dropped. Lists then cost what they find, not what there is.
"""

from collections import OrderedDict
from collections.abc import Iterable

from pilothouse.services.apiserver.cache.items import Item
from pilothouse.services.machinery.labels import Requirement
from pilothouse.services.machinery.objects import Key

KEYS_MAX = 8
"""Label keys indexed at a time; each costs one look at the labels of what changes."""

_Index = dict[str, dict[Key, Item]]


class LabelIndex:
    """Kept true by :meth:`replace`; answers by :meth:`candidates`."""

    def __init__(self) -> None:
        self._keys: OrderedDict[str, _Index] = OrderedDict()

    def replace(self, key: Key, old: Item | None, new: Item | None) -> None:
        """An object changed, came (``old`` None) or went (``new`` None)."""
        for label, index in self._keys.items():
            if old is not None and (value := old.labels.get(label)) is not None:
                holders = index[value]
                del holders[key]
                if not holders:
                    del index[value]
            if new is not None and (value := new.labels.get(label)) is not None:
                index.setdefault(value, {})[key] = new

    def candidates(
        self, requirements: Iterable[Requirement], everything: Iterable[Item]
    ) -> list[Item] | None:
        """Those that fulfil the first ``in`` requirement, unsorted; None when there is no such.

        ``everything`` fills a new index.
        """
        wanted = next((item for item in requirements if item.operator == "in"), None)
        if wanted is None:
            return None
        index = self._keys.get(wanted.key)
        if index is None:
            index = self._build(wanted.key, everything)
        self._keys.move_to_end(wanted.key)
        return [item for value in wanted.values for item in index.get(value, {}).values()]

    def _build(self, label: str, everything: Iterable[Item]) -> _Index:
        if len(self._keys) >= KEYS_MAX:
            self._keys.popitem(last=False)
        index = self._keys[label] = {}
        for item in everything:
            value = item.labels.get(label)
            if value is not None:
                index.setdefault(value, {})[item.key] = item
        return index
