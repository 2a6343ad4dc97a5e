"""The rules of ``x-kubernetes-list-type``, ``-list-map-keys`` and ``-map-type``. Pure."""

from collections.abc import Mapping
from typing import Any

from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause

Schema = Mapping[str, Any]

LIST_TYPE = "x-kubernetes-list-type"
MAP_KEYS = "x-kubernetes-list-map-keys"
MAP_TYPE = "x-kubernetes-map-type"


def check_lists(schema: Schema, where: str) -> list[Cause]:
    """What is wrong with what one schema says of merging."""
    map_type, list_type = schema.get(MAP_TYPE), schema.get(LIST_TYPE)
    causes = []
    if map_type is not None:
        causes += _check_type(schema, "object", MAP_TYPE, where)
        if map_type not in ("atomic", "granular"):
            place = f"{where}.{MAP_TYPE}"
            causes.append(names.unsupported(place, map_type, ("atomic", "granular")))
    if list_type is not None:
        wrong = _check_type(schema, "array", LIST_TYPE, where)
        causes += wrong or _check_set(schema, where)
        if list_type not in ("atomic", "set", "map"):
            place = f"{where}.{LIST_TYPE}"
            causes.append(names.unsupported(place, list_type, ("atomic", "set", "map")))
    if schema.get(MAP_KEYS) and list_type != "map":
        detail = f"must be map if {MAP_KEYS} is non-empty"
        place = f"{where}.{LIST_TYPE}"
        missing = names.required(place, detail)
        causes.append(missing if list_type is None else names.invalid(place, list_type, detail))
    if list_type == "map":
        causes += _check_map(schema, where)
    return causes + _check_nulls(schema, where)


def _check_type(schema: Schema, wanted: str, word: str, where: str) -> list[Cause]:
    found, detail = schema.get("type") or "", f"must be {wanted} if {word} is specified"
    if found == wanted:
        return []
    if not found:
        return [names.required(f"{where}.type", detail)]
    return [names.invalid(f"{where}.type", found, detail)]


def _check_set(schema: Schema, where: str) -> list[Cause]:
    items = schema.get("items")
    if schema.get(LIST_TYPE) != "set" or not isinstance(items, dict):
        return []
    detail = f"must be atomic as item of a list with {LIST_TYPE}=set"
    of_list, of_map = items.get(LIST_TYPE), items.get(MAP_TYPE)
    if items.get("type") == "array" and of_list not in (None, "atomic"):
        return [names.invalid(f"{where}.items.{LIST_TYPE}", of_list, detail)]
    if items.get("type") == "object" and of_map != "atomic":
        return [names.invalid(f"{where}.items.{MAP_TYPE}", of_list, detail)]
    return []


def _check_map(schema: Schema, where: str) -> list[Cause]:
    keys, items = schema.get(MAP_KEYS) or [], schema.get("items")
    causes = []
    if not keys:
        detail = f"must not be empty if {LIST_TYPE} is map"
        causes.append(names.required(f"{where}.{MAP_KEYS}", detail))
    if not isinstance(items, dict):
        detail = f"must have a schema if {LIST_TYPE} is map"
        return [*causes, names.required(f"{where}.items", detail)]
    if items.get("type") != "object":
        detail = f"must be object if parent array's {LIST_TYPE} is map"
        causes.append(names.invalid(f"{where}.items.type", items.get("type", ""), detail))
        return causes
    properties = items.get("properties") or {}
    for index, key in enumerate(keys):
        if key not in properties:
            detail = "entries must all be names of item properties"
            causes.append(names.invalid(f"{where}.{MAP_KEYS}", keys, detail))
        elif properties[key].get("type") in ("array", "object"):
            detail = f"must be a scalar type if parent array's {LIST_TYPE} is map"
            place = f"{where}.items.properties[{key}].type"
            causes.append(names.invalid(place, items["type"], detail))
        if key in keys[:index]:
            detail = "must not contain duplicate entries"
            causes.append(names.invalid(f"{where}.{MAP_KEYS}", keys, detail))
    return causes


def _check_nulls(schema: Schema, where: str) -> list[Cause]:
    """Neither items nor keys may be null; keys are there or have a default."""
    list_type, items = schema.get(LIST_TYPE), schema.get("items")
    if list_type not in ("set", "map") or not isinstance(items, dict):
        return []
    causes = []
    if items.get("nullable"):
        detail = f"cannot be nullable when {LIST_TYPE} is {list_type}"
        causes.append(names.forbidden(f"{where}.items.nullable", detail))
    if list_type == "set":
        return causes
    properties, required = items.get("properties") or {}, items.get("required") or ()
    for key in schema.get(MAP_KEYS) or ():
        if key not in properties:
            continue
        place = f"{where}.items.properties[{key}]"
        if key not in required and properties[key].get("default") is None:
            detail = (
                f"this property is in {MAP_KEYS}, so it must have a default or be a required "
                "property"
            )
            causes.append(names.required(f"{place}.default", detail))
        if properties[key].get("nullable"):
            detail = f"this property is in {MAP_KEYS}, so it cannot be nullable"
            causes.append(names.forbidden(f"{place}.nullable", detail))
    return causes
