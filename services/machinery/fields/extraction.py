"""The sets of fields of values: what an applied configuration mentions, what a new object has."""

from typing import Any

from pilothouse.services.machinery.fields.elements import grouped
from pilothouse.services.machinery.fields.fieldset import LEAF, FieldSet
from pilothouse.services.machinery.fields.paths import SELF
from pilothouse.services.machinery.fields.types import DEDUCED, Type


def mentioned(kind: Type, value: Any) -> FieldSet:
    """Every leaf and every element of a list or map that ``value``, an object, mentions."""
    if type(value) is dict:
        if not kind.is_map or kind.atomic_map:
            return LEAF
        return _map(kind, value)
    if type(value) is list and kind.is_list and not kind.atomic_list:
        return _list(kind, value)
    return LEAF


def _map(kind: Type, value: dict[str, Any]) -> FieldSet:
    result: FieldSet = {}
    fields, element = kind.fields, kind.element or DEDUCED
    for name, item in value.items():
        inner = fields.get(name)
        sort = item.__class__
        if (sort is not dict and sort is not list) or _is_leaf(inner or element, item):
            result["f:" + name] = LEAF
            continue
        node = mentioned(inner or element, item)
        # What is no field of a struct is an element; an empty object is owned as one.
        if inner is None or (sort is dict and not item):
            node = {SELF: LEAF, **node} if node else LEAF
        elif not node:
            continue
        result["f:" + name] = node
    return result


def _list(kind: Type, items: list[Any]) -> FieldSet:
    result: FieldSet = {}
    item_type = kind.item or DEDUCED
    for element, same in grouped(kind, items).items():
        if len(same) > 1:
            result[element] = LEAF
            continue
        children = mentioned(item_type, same[0])
        result[element] = {SELF: LEAF, **children} if children else LEAF
    return result


def _is_leaf(kind: Type, value: Any) -> bool:
    """Whether the value is owned as one."""
    if value.__class__ is dict:
        return not kind.is_map or kind.atomic_map
    return not kind.is_list or kind.atomic_list


def brought(kind: Type, value: Any) -> FieldSet:
    """The node of a value where there was none: it, and all that is in it."""
    if not value or (value.__class__ is not dict and value.__class__ is not list):
        return LEAF
    if _is_leaf(kind, value):
        return LEAF
    result: FieldSet = {SELF: LEAF}
    if isinstance(value, dict):
        fields, element = kind.fields, kind.element or DEDUCED
        for name, item in value.items():
            if item and (item.__class__ is dict or item.__class__ is list):
                result["f:" + name] = brought(fields.get(name) or element, item)
            else:
                result["f:" + name] = LEAF
        return result
    item_type = kind.item or DEDUCED
    for path_element, same in grouped(kind, value).items():
        result[path_element] = LEAF if len(same) > 1 else brought(item_type, same[0])
    return result


def filled(kind: Type, value: Any) -> FieldSet:
    """The children of a new object: like :func:`brought`, but what such objects always have, and
    the object itself, were there before it.
    """
    if not value or _is_leaf(kind, value):
        return {}
    if value.__class__ is list:
        node = brought(kind, value)
        return {element: below for element, below in node.items() if element != SELF}
    result: FieldSet = {}
    present = kind.present
    for name, item in value.items():
        inner = kind.at(name)
        if name not in present:
            result["f:" + name] = brought(inner, item)
        elif item.__class__ is not dict and item.__class__ is not list:
            if item:
                result["f:" + name] = LEAF
        elif item and _is_leaf(inner, item):
            result["f:" + name] = LEAF
        else:
            node = filled(inner, item)
            if node:
                result["f:" + name] = node
    return result
