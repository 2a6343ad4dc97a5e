"""Fields that a structural schema does not know are dropped from an object, in place."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from pilothouse.services.machinery.schema.report import Path, render

Schema: TypeAlias = Mapping[str, Any]
Prune: TypeAlias = Callable[[Any, Path, list[str]], bool]
"""Takes a value, its path and where to note what is dropped; whether anything was."""

META = frozenset({"apiVersion", "kind", "metadata"})
PRESERVE = "x-kubernetes-preserve-unknown-fields"
EMBEDDED = "x-kubernetes-embedded-resource"
SCALARS = frozenset({"string", "integer", "number", "boolean"})


def compile_prune(schema: Schema) -> Prune | None:
    """The pruning of a whole object; None when there is nothing that it could drop."""
    return _compile({**schema, EMBEDDED: True}, root=True)


def _compile(schema: Schema, *, root: bool = False) -> Prune | None:
    if schema.get("type") in SCALARS and not schema.get(PRESERVE):
        return None
    if schema.get(PRESERVE):
        return _preserving(schema)
    return _either(_fields(schema, root=root), _items(schema))


def _preserving(schema: Schema) -> Prune | None:
    """Unknown fields stay; those that are known are looked into."""
    properties = _inner(schema)
    additional = _additional(schema)
    embedded = bool(schema.get(EMBEDDED))
    items = schema.get("items")
    element = _preserving(items) if isinstance(items, dict) else None
    if not properties and additional is None and element is None:
        return None
    known = frozenset(schema.get("properties") or ())

    def fields(value: Any, path: Path, dropped: list[str]) -> bool:
        changed = False
        for name, item in value.items():
            if embedded and name in META:
                continue
            prune = properties.get(name) if name in known else additional
            if prune is not None and prune(item, (path, name), dropped):
                changed = True
        return changed

    return _either(fields, None if element is None else _each(element))


def _fields(schema: Schema, *, root: bool) -> Prune:  # noqa: C901 - a compiled closure beside what it closes over
    properties = _inner(schema)
    known = frozenset(schema.get("properties") or ())
    additional = _additional(schema)
    open_ended = _is_open(schema)
    kept = META if schema.get(EMBEDDED) else frozenset()
    allowed = known | kept

    def prune(value: Any, path: Path, dropped: list[str]) -> bool:
        changed = False
        if not open_ended and not value.keys() <= allowed:
            for name in [name for name in value if name not in allowed]:
                del value[name]
                if not (root and name in META):
                    dropped.append(render((path, name)))
            changed = True
        if additional is not None:
            for name, item in value.items():
                if name in kept or name in known:
                    continue
                if additional(item, (path, name), dropped):
                    changed = True
        for name, inner in properties.items():
            if name in value and name not in kept and inner(value[name], (path, name), dropped):
                changed = True
        return changed

    return prune


def _inner(schema: Schema) -> dict[str, Prune]:
    """The properties that have something to prune below them."""
    found = {name: _compile(item) for name, item in (schema.get("properties") or {}).items()}
    return {name: prune for name, prune in found.items() if prune is not None}


def _is_open(schema: Schema) -> bool:
    return schema.get("additionalProperties") not in (None, False)


def _additional(schema: Schema) -> Prune | None:
    """For the values of a map; ``additionalProperties: true`` says nothing of what is in them."""
    inner = schema.get("additionalProperties")
    if isinstance(inner, dict):
        return _compile(inner)
    return _wipe if inner is True else None


def _items(schema: Schema) -> Prune:
    inner = schema.get("items")
    element = _compile(inner) if isinstance(inner, dict) else _wipe
    return _each(element) if element is not None else _nothing


def _each(element: Prune) -> Prune:
    def prune(value: Any, path: Path, dropped: list[str]) -> bool:
        changed = False
        for index, item in enumerate(value):
            if element(item, (path, index), dropped):
                changed = True
        return changed

    return prune


def _either(fields: Prune, elements: Prune | None) -> Prune:
    """By what the value is, which need not be what the schema says."""

    def prune(value: Any, path: Path, dropped: list[str]) -> bool:
        if type(value) is dict:
            return fields(value, path, dropped)
        if type(value) is list and elements is not None:
            return elements(value, path, dropped)
        return False

    return prune


def _nothing(_value: Any, _path: Path, _dropped: list[str]) -> bool:
    return False


def _wipe(value: Any, path: Path, dropped: list[str]) -> bool:
    """Where there is no schema, no field is known."""
    if type(value) is dict and value:
        dropped += [render((path, name)) for name in value]
        value.clear()
        return True
    if type(value) is list:
        return sum(_wipe(item, (path, index), dropped) for index, item in enumerate(value)) > 0
    return False
