"""Structural schemas: every field has its type outside of ``allOf`` and its like. Pure."""

from collections.abc import Mapping
from typing import Any

from pilothouse.services.apiserver.crds.patterns import BadPattern, compile_pattern
from pilothouse.services.apiserver.crds.pruning import EMBEDDED, PRESERVE
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause

Schema = Mapping[str, Any]

INT_OR_STRING = "x-kubernetes-int-or-string"
_EITHER = [{"type": "integer"}, {"type": "string"}]
_EMPTY_TYPE = {
    "root": "must not be empty at the root",
    "item": "must not be empty for specified array items",
    "field": "must not be empty for specified object fields",
}
_FORBIDDEN = (
    ("type", "must be empty to be structural"),
    ("additionalProperties", "must be undefined to be structural"),
    ("default", "must be undefined to be structural"),
    ("title", "must be empty to be structural"),
    ("description", "must be empty to be structural"),
    ("nullable", "must be false to be structural"),
    (PRESERVE, "must be false to be structural"),
    (EMBEDDED, "must be false to be structural"),
    (INT_OR_STRING, "must be false to be structural"),
    ("x-kubernetes-list-map-keys", "must be empty to be structural"),
    ("x-kubernetes-list-type", "must be undefined to be structural"),
    ("x-kubernetes-map-type", "must be undefined to be structural"),
    ("x-kubernetes-validations", "must be empty to be structural"),
)


def check_structural(schema: Schema, where: str) -> list[Cause]:
    """What keeps a schema from being structural, in the order of the places."""
    causes = _check(schema, where, "root") + _complete(schema, where)
    return sorted(causes, key=lambda cause: (cause.field, cause.message))


def _check(schema: Schema, where: str, level: str) -> list[Cause]:
    causes: list[Cause] = []
    items, values = schema.get("items"), schema.get("additionalProperties")
    if schema.get("type") == "array" and items is None:
        causes.append(names.required(f"{where}.items", "must be specified"))
    if isinstance(items, dict):
        causes += _check(items, f"{where}.items", "item")
    for name, inner in (schema.get("properties") or {}).items():
        causes += _check(inner, f"{where}.properties[{name}]", "field")
    if values is not None and values is not False:
        if level == "root":
            place = f"{where}.additionalProperties"
            causes.append(names.forbidden(place, "must not be used at the root"))
        if isinstance(values, dict):
            causes += _check(values, f"{where}.additionalProperties", "field")
    causes += _check_extensions(schema, where)
    either = schema.get("anyOf") == _EITHER
    first = (schema.get("allOf") or [{}])[0]
    causes += _check_values(
        schema, where, skip_any=either, skip_first=first.get("anyOf") == _EITHER
    )
    causes += _check_type(schema, where, level)
    return causes + _check_meta(schema, where, level)


def _check_extensions(schema: Schema, where: str) -> list[Cause]:
    if not schema.get(INT_OR_STRING):
        return []
    detail = f"must be false if {INT_OR_STRING} is true"
    return [
        names.invalid(f"{where}.{name}", True, detail)
        for name in (PRESERVE, EMBEDDED)
        if schema.get(name)
    ]


def _check_type(schema: Schema, where: str, level: str) -> list[Cause]:
    type_, causes = schema.get("type") or "", []
    embedded = schema.get(EMBEDDED)
    if embedded and type_ != "object":
        detail = f"must be object if {EMBEDDED} is true"
        wrong = names.invalid(f"{where}.type", type_, detail) if type_ else None
        causes.append(wrong or names.required(f"{where}.type", detail))
    elif not type_ and not schema.get(INT_OR_STRING) and not schema.get(PRESERVE):
        causes.append(names.required(f"{where}.type", _EMPTY_TYPE[level]))
    if embedded and schema.get("additionalProperties") is not None:
        detail = f"must not be used if {EMBEDDED} is set"
        causes.append(names.forbidden(f"{where}.additionalProperties", detail))
    if embedded and not schema.get(PRESERVE) and not schema.get("properties"):
        detail = f"must not be empty if {EMBEDDED} is true without {PRESERVE}"
        causes.append(names.required(f"{where}.properties", detail))
    if level == "root" and type_ and type_ != "object":
        causes.append(names.invalid(f"{where}.type", type_, "must be object at the root"))
    return causes


def _check_meta(schema: Schema, where: str, level: str) -> list[Cause]:
    properties = schema.get("properties") or {}
    whole = level == "root" or bool(schema.get(EMBEDDED))
    causes = []
    for name in ("kind", "apiVersion"):
        if whole and name in properties and properties[name].get("type") != "string":
            place = f"{where}.properties[{name}].type"
            causes.append(names.invalid(place, properties[name].get("type", ""), "must be string"))
    metadata = properties.get("metadata")
    if metadata is None:
        return causes
    place = f"{where}.properties[metadata]"
    if whole and metadata.get("type") != "object":
        causes.append(names.invalid(f"{place}.type", metadata.get("type", ""), "must be object"))
    if level == "root":
        said = set(metadata) - {"type", "default", "properties"}
        if said or set(metadata.get("properties") or ()) - {"name", "generateName"}:
            detail = (
                "must not specify anything other than name and generateName, but metadata is "
                "implicitly specified"
            )
            causes.append(names.forbidden(place, detail))
    return causes


def _check_values(
    schema: Schema, where: str, *, skip_any: bool = False, skip_first: bool = False
) -> list[Cause]:
    """What stands in the junctors, and the pattern."""
    causes: list[Cause] = []
    for junctor in ("anyOf", "allOf", "oneOf"):
        if junctor == "anyOf" and skip_any:
            continue
        for index, inner in enumerate(schema.get(junctor) or ()):
            place = f"{where}.{junctor}[{index}]"
            skip = junctor == "allOf" and skip_first and index == 0
            causes += _check_nested(inner, place, skip_any=skip)
    if isinstance(schema.get("not"), dict):
        causes += _check_nested(schema["not"], f"{where}.not")
    pattern = schema.get("pattern") or ""
    if pattern:
        try:
            compile_pattern(pattern)
        except BadPattern as error:
            detail = f"must be a valid regular expression, but isn't: {error}"
            causes.append(names.invalid(f"{where}.pattern", pattern, detail))
    return causes


def _check_nested(schema: Schema, where: str, *, skip_any: bool = False) -> list[Cause]:
    causes = _check_values(schema, where, skip_any=skip_any)
    if isinstance(schema.get("items"), dict):
        causes += _check_nested(schema["items"], f"{where}.items")
    for name, inner in (schema.get("properties") or {}).items():
        causes += _check_nested(inner, f"{where}.properties[{name}]")
    causes += [
        names.forbidden(f"{where}.{name}", detail)
        for name, detail in _FORBIDDEN
        if schema.get(name) not in (None, "", False, [])
    ]
    if "metadata" in (schema.get("properties") or {}):
        place = f"{where}.properties[metadata]"
        causes.append(names.forbidden(place, "must not be specified in a nested context"))
    return causes


def _complete(schema: Schema, where: str) -> list[Cause]:
    """Every field that a junctor at the root speaks of is also outside of it."""
    return _joined(schema, schema, where, where)


def _joined(nested: Schema, outer: Schema | None, where: str, out: str) -> list[Cause]:
    """What the junctors of ``nested`` speak of and ``outer`` does not."""
    causes: list[Cause] = []
    for junctor in ("allOf", "anyOf", "oneOf"):
        for index, below in enumerate(nested.get(junctor) or ()):
            causes += _covered(below, outer, f"{where}.{junctor}[{index}]", out)
    if isinstance(nested.get("not"), dict):
        causes += _covered(nested["not"], outer, f"{where}.not", out)
    return causes


def _covered(nested: Schema, outer: Schema | None, where: str, out: str) -> list[Cause]:
    causes: list[Cause] = []
    inner = outer or {}
    if isinstance(nested.get("items"), dict):
        if not isinstance(inner.get("items"), dict):
            causes.append(names.required(f"{out}.items", f"because it is defined in {where}.items"))
        else:
            causes += _covered(nested["items"], inner["items"], f"{where}.items", f"{out}.items")
    known = inner.get("properties") or {}
    for name, below in (nested.get("properties") or {}).items():
        place, there = f"{out}.properties[{name}]", f"{where}.properties[{name}]"
        if name not in known:
            causes.append(names.required(place, f"because it is defined in {there}"))
        else:
            causes += _covered(below, known[name], there, place)
    return causes + _joined(nested, outer, where, out)
