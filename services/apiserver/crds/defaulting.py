"""Defaults of a structural schema, filled in place; and nulls that stand where none may."""

import copy
from collections.abc import Callable
from typing import Any, TypeAlias

from pilothouse.services.apiserver.crds.pruning import SCALARS, Schema

Fill: TypeAlias = Callable[[Any], bool]
"""Takes a value and changes it in place; whether it did."""


def compile_default(schema: Schema) -> Fill | None:  # noqa: C901 - a compiled closure beside what it closes over
    """Fills what is missing, or null where null is not allowed; None when there are no defaults."""
    if schema.get("type") in SCALARS or not _has_default(schema):
        return None
    properties: dict[str, Schema] = schema.get("properties") or {}
    defaults = {name: item["default"] for name, item in properties.items() if _given(item)}
    nullable = frozenset(name for name, item in properties.items() if item.get("nullable"))
    inner = _compiled(properties)
    map_schema = schema.get("additionalProperties")
    values = _values(map_schema) if isinstance(map_schema, dict) else None
    known = frozenset(properties)
    items = schema.get("items")
    elements = _values(items) if isinstance(items, dict) else None

    def fields(value: dict[str, Any]) -> bool:
        changed = False
        for name, default in defaults.items():
            if name not in value or (value[name] is None and name not in nullable):
                value[name] = copy.deepcopy(default)
                changed = True
        for name, fill in inner.items():
            if name in value and fill(value[name]):
                changed = True
        if values is not None:
            for name in value.keys() - known:
                if values(value, name):
                    changed = True
        return changed

    def default(value: Any) -> bool:
        if type(value) is dict:
            return fields(value)
        if type(value) is list and elements is not None:
            return sum(elements(value, index) for index in range(len(value))) > 0
        return False

    return default


def _values(schema: Schema) -> Callable[[Any, Any], bool]:
    """For what a map or a list holds: its own default in the place of null, then below it."""
    default, below = schema.get("default"), compile_default(schema)
    replaces = default is not None and not schema.get("nullable")

    def fill(holder: Any, place: Any) -> bool:
        changed = False
        if replaces and holder[place] is None:
            holder[place] = copy.deepcopy(default)
            changed = True
        return (below is not None and below(holder[place])) or changed

    return fill


def compile_null_removal(schema: Schema) -> Fill | None:  # noqa: C901 - a compiled closure beside what it closes over
    """Removes fields that are null, may not be, and have no default; None when none can be."""
    if schema.get("type") in SCALARS:
        return None
    properties: dict[str, Schema] = schema.get("properties") or {}
    droppable = frozenset(name for name, item in properties.items() if _droppable(item))
    found = {name: compile_null_removal(item) for name, item in properties.items()}
    inner = {name: fill for name, fill in found.items() if fill is not None}
    map_schema = schema.get("additionalProperties")
    of_map = map_schema if isinstance(map_schema, dict) else None
    drops_values = of_map is not None and _droppable(of_map)
    values = compile_null_removal(of_map) if of_map is not None else None
    items = schema.get("items")
    element = compile_null_removal(items) if isinstance(items, dict) else None
    if not (droppable or inner or of_map is not None or element is not None):
        return None

    def fields(value: dict[str, Any]) -> bool:
        changed = False
        if None in value.values():
            for name in [name for name, item in value.items() if item is None]:
                if name in droppable or (drops_values and name not in properties):
                    del value[name]
                    changed = True
        for name, fill in inner.items():
            if name in value and fill(value[name]):
                changed = True
        if values is not None:
            for name, item in value.items():
                if name not in properties and values(item):
                    changed = True
        return changed

    def remove(value: Any) -> bool:
        if type(value) is dict:
            return fields(value)
        if type(value) is list and element is not None:
            return sum(element(item) for item in value) > 0
        return False

    return remove


def _droppable(schema: Schema) -> bool:
    return not schema.get("nullable") and schema.get("default") is None


def _given(schema: Schema) -> bool:
    return schema.get("default") is not None


def _compiled(properties: dict[str, Schema]) -> dict[str, Fill]:
    found = {name: compile_default(item) for name, item in properties.items()}
    return {name: fill for name, fill in found.items() if fill is not None}


def _has_default(schema: Schema) -> bool:
    """Whether a default stands anywhere below."""
    below = list((schema.get("properties") or {}).values())
    below += [schema.get("additionalProperties"), schema.get("items")]
    return any(isinstance(item, dict) and (_given(item) or _has_default(item)) for item in below)
