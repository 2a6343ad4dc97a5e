"""Lists that are sets, or maps by some of their fields, hold nothing twice."""

import json
from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeAlias

from pilothouse.services.apiserver.crds.pruning import SCALARS, Schema
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause
from pilothouse.services.machinery.schema.report import Path, render

CheckLists: TypeAlias = Callable[[Any, Path, list[Cause]], None]


def compile_lists(schema: Schema) -> CheckLists | None:  # noqa: C901 - a compiled closure beside what it closes over
    """The check of all such lists below; None when there are none."""
    if schema.get("type") in SCALARS:
        return None
    found = {name: compile_lists(item) for name, item in (schema.get("properties") or {}).items()}
    inner = {name: check for name, check in found.items() if check is not None}
    map_schema, items = schema.get("additionalProperties"), schema.get("items")
    values = compile_lists(map_schema) if isinstance(map_schema, dict) else None
    element = compile_lists(items) if isinstance(items, dict) else None
    own = _own(schema)
    if not inner and values is None and element is None and own is None:
        return None

    def check(value: Any, path: Path, causes: list[Cause]) -> None:
        if type(value) is dict:
            for name, one in inner.items():
                if name in value:
                    one(value[name], (path, name), causes)
            if values is not None:
                for name, item in value.items():
                    values(item, (path, name), causes)
        elif type(value) is list:
            if own is not None:
                own(value, path, causes)
            if element is not None:
                for index, item in enumerate(value):
                    element(item, (path, index), causes)

    return check


def _own(schema: Schema) -> CheckLists | None:
    match schema.get("x-kubernetes-list-type"):
        case "set":
            return _check_set
        case "map":
            keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())
            return lambda value, path, causes: _check_map(value, keys, path, causes)
    return None


def _check_set(value: Any, path: Path, causes: list[Cause]) -> None:
    causes += [names.duplicate(render((path, index)), value[index]) for index in _repeated(value)]


def _check_map(value: Any, keys: Sequence[str], path: Path, causes: list[Cause]) -> None:
    for index, item in enumerate(value):
        if item is not None and type(item) is not dict:
            detail = "must be an object for an array of list-type map"
            causes.append(names.invalid(render((path, index)), item, detail))
            return
    found = [{key: item[key] for key in keys if item and key in item} for item in value]
    causes += [names.duplicate(render((path, index)), found[index]) for index in _repeated(found)]


def _repeated(items: Sequence[Any]) -> list[int]:
    """The place of each item that is there a second time."""
    if len(items) <= 1:
        return []
    seen: dict[Hashable, int] = {}
    places = []
    for index, item in enumerate(items):
        key = _identity(item)
        times = seen[key] = seen.get(key, 0) + 1
        if times == 2:  # noqa: PLR2004 - the second time
            places.append(index)
    return places


def _identity(item: Any) -> Hashable:
    if type(item) in (dict, list):
        return ("json", json.dumps(item, sort_keys=True))
    return (type(item).__name__, item)
