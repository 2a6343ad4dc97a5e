"""The elements of associative lists by their path element."""

from typing import Any

from pilothouse.services.machinery.fields import paths
from pilothouse.services.machinery.fields.types import Type


class Unfit(ValueError):
    """A value can not be an element of the list."""


def element_of(kind: Type, item: Any) -> str:
    """The path element of ``item`` in a list of type ``kind``.

    Raises:
        Unfit: it is null, has no key, or is not of the sort that the list holds.
    """
    keys = kind.keys
    if not keys:
        return _of_set(item)
    if not isinstance(item, dict):
        what = "a null element" if item is None else "non-map elements"
        raise Unfit(f"associative list with keys may not have {what}")
    if len(keys) == 1:
        value = item.get(keys[0])
        if value is not None:
            return paths.by_key(keys[0], value)
    defaults = kind.item.defaults if kind.item is not None else {}
    found = {key: item.get(key, defaults.get(key)) for key in keys}
    found = {key: value for key, value in found.items() if value is not None}
    if not found:
        told = " ".join(f'"{key}"' for key in keys)
        raise Unfit(
            f"associative list with keys has an element that omits all key fields [{told}] "
            "(and doesn't have default values for any key fields)"
        )
    return paths.by_keys(found)


def _of_set(item: Any) -> str:
    if item is None:
        raise Unfit("associative list without keys has an element that's an explicit null")
    if isinstance(item, dict):
        raise Unfit("associative list without keys has an element that's a map type")
    if isinstance(item, list):
        raise Unfit("not supported: associative list with lists as elements")
    return paths.by_value(item)


def grouped(kind: Type, items: list[Any]) -> dict[str, list[Any]]:
    """The items of a live list by their element; what has none is left out."""
    result: dict[str, list[Any]] = {}
    for item in items:
        try:
            result.setdefault(element_of(kind, item), []).append(item)
        except Unfit:
            continue
    return result
