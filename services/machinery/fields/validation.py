"""Whether an applied configuration fits its schema, in upstream's sentences."""

from collections.abc import Iterator
from typing import Any

from pilothouse.services.machinery.fields import paths
from pilothouse.services.machinery.fields.elements import Unfit, element_of
from pilothouse.services.machinery.fields.types import Type

ERRORS_MAX = 20


def errors(kind: Type, value: Any) -> list[str]:
    """What is wrong, each with its path; a list may not have an element twice."""
    found = []
    for path, why in _value(kind, value):
        found.append(f"{path}: {why}" if path else why)
        if len(found) >= ERRORS_MAX:
            break
    return found


def told(found: list[str]) -> str:
    """All of them as one message."""
    return found[0] if len(found) == 1 else "errors:\n" + "\n".join(f"  {one}" for one in found)


def _value(kind: Type, value: Any) -> Iterator[tuple[str, str]]:
    if value is None:
        return
    if value.__class__ is dict and kind.is_map:
        yield from _map(kind, value)
    elif value.__class__ is list and kind.is_list:
        yield from _list(kind, value)
    elif kind.scalar and not isinstance(value, dict | list):
        yield from _scalar(kind.scalar, value)
    elif kind.is_map:
        yield "", f"expected map, got {_shown(value)}"
    elif kind.scalar:
        yield from _scalar(kind.scalar, value)
    else:
        yield "", f"expected list, got {_shown(value)}"


def _map(kind: Type, value: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, item in value.items():
        inner = kind.fields.get(name) or kind.element
        if inner is None:
            yield f".{name}", "field not declared in schema"
            continue
        for path, why in _value(inner, item):
            yield f".{name}{path}", why


def _list(kind: Type, value: list[Any]) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for index, item in enumerate(value):
        element = f"i:{index}"
        if not kind.atomic_list:
            try:
                element = element_of(kind, item)
            except Unfit as error:
                yield "", f"element {index}: {error}"
                return
            if element in seen:
                yield "", f"duplicate entries for key {paths.show([element])}"
            seen.add(element)
        if kind.item is not None:
            for path, why in _value(kind.item, item):
                yield f"{paths.show([element])}{path}", why


def _scalar(sort: str, value: Any) -> Iterator[tuple[str, str]]:
    match sort:
        case "numeric" if type(value) not in {int, float}:
            yield "", f"expected numeric (int or float), got {_go_type(value)}"
        case "string" if type(value) is not str:
            yield "", f"expected string, got &value.valueUnstructured{{Value:{_shown(value)}}}"
        case "boolean" if type(value) is not bool:
            yield "", f"expected boolean, got {_shown(value)}"
        case "untyped" if isinstance(value, dict | list):
            yield "", f"expected any scalar, got {_shown(value)}"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, dict):
        return f"map[{' '.join(f'{name}:{_shown(item)}' for name, item in value.items())}]"
    if isinstance(value, list):
        return f"[{' '.join(map(_shown, value))}]"
    return str(value)


def _go_type(value: Any) -> str:
    if isinstance(value, dict):
        return "map[string]interface {}"
    if isinstance(value, list):
        return "[]interface {}"
    return {str: "string", bool: "bool"}.get(type(value), "float64")
