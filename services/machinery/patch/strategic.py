"""Kubernetes' strategic merge patch: lists of a kind merge by the key that its schema names.

Directives inside the patch: ``$patch`` (merge, replace, delete), ``$retainKeys``,
``$deleteFromPrimitiveList/<list>`` and ``$setElementOrder/<list>``.
"""

from collections.abc import Hashable, Sequence
from typing import Any

from pilothouse.services.machinery.patch import ordering
from pilothouse.services.machinery.patch.ordering import mark
from pilothouse.services.machinery.schema.shape import Field, Shapes

PATCH = "$patch"
RETAIN = "$retainKeys"
DELETE_FROM = "$deleteFromPrimitiveList/"
ORDER = "$setElementOrder/"
_SHOWN_MAX = 1000

Document = dict[str, Any]


class Malformed(Exception):
    """The patch breaks the rules of its format; the message says which."""


def apply(shapes: Shapes, definition: str, document: Document, patch: Document) -> Document:
    """``document`` of the kind ``definition`` with ``patch`` merged into it."""
    return _Merge(shapes).maps(document, patch, definition)


class _Merge:
    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes

    def maps(
        self, original: Document, patch: Document, definition: str, *, values: Field | None = None
    ) -> Document:
        """Merge one map; ``values`` is the shape of its values when it is no struct."""
        directive = patch.get(PATCH)
        if directive == "replace":
            return _clean_map({name: value for name, value in patch.items() if name != PATCH})
        if directive == "delete":
            return {}
        if directive not in {None, "merge"}:
            raise Malformed(f"unknown patch type [{directive}]")
        result = _retain(original, patch)
        for name, value in patch.items():
            if name.startswith(DELETE_FROM):
                _delete_from(result, name.removeprefix(DELETE_FROM), value)
        for name, value in patch.items():
            if name.startswith("$"):
                _check(name)
                continue
            shape = values or self._shapes.field(definition, name)
            self._member(result, name, value, shape)
        for name, value in patch.items():
            if name.startswith(ORDER):
                member = name.removeprefix(ORDER)
                key = self._shapes.field(definition, member).merge_key
                _order(original, result, member, key, value)
        return result

    def _member(self, result: Document, name: str, value: Any, shape: Field) -> None:
        if value is None:
            result.pop(name, None)
            return
        old = result.get(name)
        if isinstance(value, dict):
            result[name] = self._map(old, value, shape)
        elif isinstance(value, list) and isinstance(old, list) and shape.merges:
            result[name] = self._lists(old, value, shape)
        else:
            result[name] = clean(value)

    def _map(self, old: Any, value: Document, shape: Field) -> Document:
        if not isinstance(old, dict) or shape.replaces:
            return _clean_map(value)
        if shape.is_map:
            inner = Field(definition=shape.definition)
            return self.maps(old, value, "", values=inner)
        return self.maps(old, value, shape.definition)

    def _lists(self, old: Sequence[Any], new: Sequence[Any], shape: Field) -> list[Any]:
        if not shape.merge_key:
            return _union(old, new)
        if any(_directive(item) == "replace" for item in new):
            return [clean(item) for item in new if _directive(item) != "replace"]
        key = shape.merge_key
        gone = {mark(_identity(item, key)) for item in new if _is_deletion(item)}
        result = [item for item in old if mark(_key_of(item, key)) not in gone]
        places: dict[Hashable, int] = {}
        for place, item in enumerate(result):
            places.setdefault(mark(_key_of(item, key)), place)
        for item in new:
            if _is_deletion(item):
                continue
            identity = mark(_identity(item, key))
            found = places.get(identity)
            if found is None:
                places[identity] = len(result)
                result.append(clean(item))
            else:
                result[found] = self.maps(result[found], item, shape.definition)
        return result


def clean(value: Any) -> Any:
    """What a patch adds where there was nothing: without nulls in maps, without directives."""
    if isinstance(value, dict):
        return _clean_map(value)
    if isinstance(value, list):
        return [clean(item) for item in value if not _is_deletion(item)]
    return value


def _clean_map(value: Document) -> Document:
    if value.get(PATCH) == "delete":
        return {}
    return {
        name: clean(item)
        for name, item in value.items()
        if item is not None and not name.startswith("$")
    }


def _retain(original: Document, patch: Document) -> Document:
    keep = patch.get(RETAIN)
    if keep is None:
        return dict(original)
    if not isinstance(keep, list):
        raise Malformed(f"{RETAIN} must be a list")
    for name, value in patch.items():
        if not name.startswith("$") and value is not None and name not in keep:
            raise Malformed(f"{name} is in the patch and not in its {RETAIN}")
    return {name: value for name, value in original.items() if name in keep}


def _check(name: str) -> None:
    if name not in {PATCH, RETAIN} and not name.startswith((DELETE_FROM, ORDER)):
        raise Malformed(f"unknown directive {name}")


def _delete_from(result: Document, name: str, values: Any) -> None:
    if not isinstance(values, list):
        raise Malformed(f"{DELETE_FROM}{name} must be a list")
    old = result.get(name)
    if isinstance(old, list):
        gone = set(map(mark, values))
        result[name] = [item for item in old if mark(item) not in gone]


def _order(original: Document, result: Document, name: str, key: str, order: Any) -> None:
    if not isinstance(order, list):
        raise Malformed(f"{ORDER}{name} must be a list")
    merged = result.get(name)
    if not isinstance(merged, list):
        return

    def identify(item: Any) -> Any:
        return _key_of(item, key) if key else item

    wanted = [identify(item) for item in order]
    live = [identify(item) for item in original.get(name) or ()]
    result[name] = ordering.arrange(merged, identify, wanted, live)


def _union(old: Sequence[Any], new: Sequence[Any]) -> list[Any]:
    found: dict[Hashable, Any] = {}
    for item in (*old, *new):
        found.setdefault(mark(item), item)
    return list(found.values())


def _is_deletion(item: Any) -> bool:
    return bool(_directive(item) == "delete")


def _directive(item: Any) -> Any:
    return item.get(PATCH) if isinstance(item, dict) else None


def _key_of(item: Any, key: str) -> Any:
    return item.get(key) if isinstance(item, dict) else None


def _identity(item: Any, key: str) -> Any:
    identity = _key_of(item, key)
    if identity is None:
        shown = str(item)[:_SHOWN_MAX]
        raise Malformed(f"map: {shown} does not contain declared merge key: {key}")
    return identity
