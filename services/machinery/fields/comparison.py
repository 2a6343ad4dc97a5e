"""What a write changed: the fields that it added, modified and removed."""

from dataclasses import dataclass, field
from typing import Any

from pilothouse.services.machinery.fields import fieldset
from pilothouse.services.machinery.fields.elements import grouped
from pilothouse.services.machinery.fields.extraction import brought, filled
from pilothouse.services.machinery.fields.fieldset import LEAF, FieldSet
from pilothouse.services.machinery.fields.paths import SELF
from pilothouse.services.machinery.fields.types import DEDUCED, Type


@dataclass(slots=True)
class Comparison:
    """Three sets that share no member; all empty when the values were equal."""

    added: FieldSet = field(default_factory=dict)
    modified: FieldSet = field(default_factory=dict)
    removed: FieldSet = field(default_factory=dict)

    @property
    def changed(self) -> FieldSet:
        """What was added or modified: what the writer now owns."""
        return fieldset.union(self.modified, self.added)

    def __bool__(self) -> bool:
        return bool(self.added or self.modified or self.removed)

    def without(self, fields: FieldSet) -> "Comparison":
        """The same, but for ``fields`` and all that is under them."""
        if not fields:
            return self
        left = fieldset.recursive_difference
        return Comparison(
            left(self.added, fields), left(self.modified, fields), left(self.removed, fields)
        )


def compare(kind: Type, old: dict[str, Any], new: dict[str, Any]) -> Comparison:
    """How ``new`` differs from ``old``, both objects of type ``kind``."""
    result = Comparison()
    _map(kind, old, new, result)
    return result


def _map(kind: Type, old: dict[str, Any], new: dict[str, Any], into: Comparison) -> None:
    fields, element, present = kind.fields, kind.element or DEDUCED, kind.present
    for name, value in new.items():
        if name in old:
            before = old[name]
            if before is not value and before != value:
                _both(fields.get(name) or element, "f:" + name, before, value, into)
        elif name not in present:
            into.added["f:" + name] = brought(fields.get(name) or element, value)
        else:
            _from_zero("f:" + name, fields[name], value, into.added, into.modified)
    for name, value in old.items():
        if name in new:
            continue
        if name not in present:
            into.removed["f:" + name] = brought(fields.get(name) or element, value)
        else:
            _from_zero("f:" + name, fields[name], value, into.removed, into.modified)


def _from_zero(
    element: str, kind: Type, value: Any, children: FieldSet, modified: FieldSet
) -> None:
    """One side has ``value``, the other the zero that such a field has when nothing is said."""
    if not value:
        return
    granular = value.__class__ is dict or value.__class__ is list
    if granular and not _atomic(kind, value):
        node = filled(kind, value)
        if node:
            children[element] = node
    else:
        modified[element] = LEAF


def _atomic(kind: Type, value: Any) -> bool:
    if value.__class__ is dict:
        return not kind.is_map or kind.atomic_map
    return not kind.is_list or kind.atomic_list


def _both(kind: Type, element: str, old: Any, new: Any, into: Comparison) -> None:
    """Two different values of one field or element."""
    sample = new if new is not None else old
    if sample.__class__ is dict and not _atomic(kind, sample):
        if (old is None or old.__class__ is dict) and (new is None or new.__class__ is dict):
            _below(_map, kind, element, old or {}, new or {}, into)
            return
    elif sample.__class__ is list and not _atomic(kind, sample):  # noqa: SIM102 - as above
        if (old is None or old.__class__ is list) and (new is None or new.__class__ is list):
            _below(_list, kind, element, old or [], new or [], into)
            return
    into.modified[element] = LEAF


def _below(walk: Any, kind: Type, element: str, old: Any, new: Any, into: Comparison) -> None:
    if not old and not new:
        # Null and empty differ only as leaves.
        into.modified[element] = LEAF
        return
    inner = Comparison()
    walk(kind, old, new, inner)
    if inner.added:
        into.added[element] = inner.added
    if inner.modified:
        into.modified[element] = inner.modified
    if inner.removed:
        into.removed[element] = inner.removed


def _list(kind: Type, old: list[Any], new: list[Any], into: Comparison) -> None:
    before, after = grouped(kind, old), grouped(kind, new)
    item_type = kind.item or DEDUCED
    for element, items in after.items():
        others = before.get(element, ())
        if len(items) == 1 and len(others) == 1:
            if others[0] != items[0]:
                _both(item_type, element, others[0], items[0], into)
        elif not others:
            into.added[element] = LEAF if len(items) > 1 else brought(item_type, items[0])
        elif len(items) > 1 and len(others) > 1:
            if items != others:
                into.modified[element] = LEAF
        elif len(items) > 1:
            # It has become a duplicate: owned as one, no more by its parts.
            into.added[element] = LEAF
            parts = brought(item_type, others[0])
            _put_parts(into.removed, element, parts)
        else:
            into.removed[element] = LEAF
            _put_parts(into.added, element, brought(item_type, items[0]))
    for element, items in before.items():
        if element not in after:
            into.removed[element] = LEAF if len(items) > 1 else brought(item_type, items[0])


def _put_parts(into: FieldSet, element: str, node: FieldSet) -> None:
    parts = {name: below for name, below in node.items() if name != SELF}
    if parts:
        into[element] = parts
