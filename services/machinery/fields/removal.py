"""Fields taken out of a value. It is not changed; the result shares what stays."""

from typing import Any

from pilothouse.services.machinery.fields.elements import Unfit, element_of
from pilothouse.services.machinery.fields.fieldset import LEAF, FieldSet, is_member
from pilothouse.services.machinery.fields.paths import SELF
from pilothouse.services.machinery.fields.types import DEDUCED, Type


def removed(kind: Type, value: Any, fields: FieldSet) -> Any:
    """``value`` without its ``fields``; null where nothing is left of it."""
    if not fields:
        return value
    if value.__class__ is dict:
        return _map(kind, value, fields) if kind.is_map and not kind.atomic_map else None
    if value.__class__ is list:
        return _list(kind, value, fields) if kind.is_list and not kind.atomic_list else None
    return value


def _map(kind: Type, value: dict[str, Any], fields: FieldSet) -> Any:
    result = {}
    for name, item in value.items():
        node = fields.get("f:" + name)
        if node is None:
            result[name] = item
        elif not is_member(node):
            result[name] = removed(kind.at(name), item, node)
    return result or None


def _list(kind: Type, value: list[Any], fields: FieldSet) -> Any:
    result = []
    for item in value:
        try:
            node = fields.get(element_of(kind, item))
        except Unfit:
            node = None
        if node is None:
            result.append(item)
        elif not is_member(node):
            result.append(removed(kind.item or DEDUCED, item, node))
    return result or None


def with_named_fields(kind: Type, fields: FieldSet) -> FieldSet:
    """The set and, beside it, every field of a struct that leads to a member of it."""
    result: FieldSet = {}
    for element, node in fields.items():
        if element == SELF:
            continue
        inner, named = DEDUCED, False
        if element[0] == "f":
            name = element[2:]
            named = name in kind.fields
            inner = kind.at(name)
        elif kind.item is not None:
            inner = kind.item
        below = with_named_fields(inner, node)
        if named or is_member(node):
            below = {SELF: LEAF, **below} if below else LEAF
        result[element] = below
    return result
