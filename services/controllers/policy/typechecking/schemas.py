"""An OpenAPI document's schemas as the structural ones that expressions are checked by.

What has no one type there (numbers or strings, anything, itself again) may be anything here.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

ANYTHING: Mapping[str, Any] = {"x-kubernetes-int-or-string": True}
_KINDS = "x-kubernetes-group-version-kind"
_PREFIX = "#/components/schemas/"
_PLAIN = frozenset({"string", "integer", "number", "boolean"})


def schema_of(
    document: Mapping[str, Any], group: str, version: str, kind: str
) -> Mapping[str, Any] | None:
    """The schema of a kind, whole; None where ``document`` has none."""
    schemas = (document.get("components") or {}).get("schemas") or {}
    for name, schema in schemas.items():
        for served in schema.get(_KINDS) or ():
            found = (served.get("group", ""), served.get("version"), served.get("kind"))
            if found == (group, version, kind):
                return _whole({"$ref": _PREFIX + name}, schemas, ())
    return None


def _whole(
    schema: Mapping[str, Any], schemas: Mapping[str, Any], above: tuple[str, ...]
) -> Mapping[str, Any]:
    whole, path = _referred(schema, schemas, above)
    sort = whole.get("type")
    if sort == "object":
        return _object(whole, schemas, path)
    if sort == "array":
        items = whole.get("items")
        return {**whole, "items": _whole(items, schemas, path)} if items else ANYTHING
    return whole if sort in _PLAIN and not _is_loose(whole) else ANYTHING


def _referred(
    schema: Mapping[str, Any], schemas: Mapping[str, Any], above: tuple[str, ...]
) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """What a reference, alone or wrapped, is to; what is above itself may be anything."""
    wrapped: Sequence[Mapping[str, Any]] = schema.get("allOf") or []
    if len(wrapped) == 1:
        schema = wrapped[0]
    name = str(schema.get("$ref", "")).removeprefix(_PREFIX)
    if not name:
        return schema, above
    if name in above:
        return ANYTHING, above
    return schemas.get(name, ANYTHING), (*above, name)


def _object(
    schema: Mapping[str, Any], schemas: Mapping[str, Any], above: tuple[str, ...]
) -> Mapping[str, Any]:
    properties, more = schema.get("properties"), schema.get("additionalProperties")
    if properties:
        whole = {name: _whole(item, schemas, above) for name, item in properties.items()}
        return {"type": "object", "properties": whole}
    if isinstance(more, Mapping):
        return {"type": "object", "additionalProperties": _whole(more, schemas, above)}
    return ANYTHING


def _is_loose(schema: Mapping[str, Any]) -> bool:
    """Whether values of other types are taken as well."""
    marks: Iterable[str] = ("oneOf", "anyOf", "x-kubernetes-int-or-string")
    return any(mark in schema for mark in marks) or schema.get("format") == "int-or-string"
