"""The schemas of custom resources as OpenAPI has them: with metadata, and in v2's few words. Pure.

What v2 can not say is left open, as clients check objects by it: what may be null or may hold
unknown fields has neither type nor properties there.
"""

from collections.abc import Iterable
from typing import Any, TypeAlias

from pilothouse.services.apiserver.kinds.kind import Kind
from pilothouse.services.apiserver.rest.openapi.definitions import Source, Words
from pilothouse.services.apiserver.rest.openapi.operation import META
from pilothouse.services.apiserver.rest.openapi.operations import list_definition

Document: TypeAlias = dict[str, Any]

PRESERVE = "x-kubernetes-preserve-unknown-fields"
EMBEDDED = "x-kubernetes-embedded-resource"
INT_OR_STRING = "x-kubernetes-int-or-string"
_SELECTABLE = "x-kubernetes-selectable-fields"
_GVK = "x-kubernetes-group-version-kind"
_NOT_IN_V2 = frozenset({"allOf", "anyOf", "oneOf", "not", "nullable", "default"})
_API_VERSION = {"type": "string", "description": "The group and version of this object's schema."}
_KIND = {"type": "string", "description": "The kind of this object, in CamelCase."}


def definitions(kinds: Iterable[Kind], source: Source, words: Words) -> Document:
    """Each kind's definition and its list's."""
    found: Document = {}
    for kind in kinds:
        schema = source.copy(kind.definition) if kind.definition in source else {}
        found[kind.definition] = one(kind, schema, words)
        found[list_definition(kind)] = many(kind, words)
    return found


def one(kind: Kind, schema: Document, words: Words) -> Document:
    """The definition of an object; without a schema, or open at its root in v2, it says little."""
    spoken = {"group": kind.group, "version": kind.version, "kind": kind.kind}
    if "type" not in schema or (words == "v2" and schema.get(PRESERVE)):
        return {"type": "object", _GVK: [spoken], **_selectable(kind, words)}
    out = _converted(schema, words)
    out["properties"] = {**out.get("properties", {}), **_head("This object's metadata.")}
    return {**out, _GVK: [spoken], **_selectable(kind, words)}


def many(kind: Kind, words: Words) -> Document:
    """The definition of a list."""
    name = kind.list_kind or f"{kind.kind}List"
    listed = {"group": kind.group, "version": kind.version, "kind": name}
    return {
        "type": "object",
        "description": f"{name} is a list of {kind.kind}",
        "required": ["items"],
        "properties": {
            "apiVersion": _API_VERSION,
            "items": {
                "type": "array",
                "description": f"The {kind.plural}.",
                "items": {"$ref": f"#/$defs/{kind.definition}"},
            },
            "kind": _KIND,
            "metadata": {
                "$ref": f"#/$defs/{META}.ListMeta",
                "description": "The list's metadata.",
            },
        },
        _GVK: [listed],
        **_selectable(kind, words),
    }


def _selectable(kind: Kind, words: Words) -> Document:
    """The fields that lists can be selected by, which only v3 tells."""
    fields = kind.custom.fields if kind.custom is not None and words == "v3" else ()
    return {_SELECTABLE: [{"fieldPath": field} for field in fields]} if fields else {}


def _head(metadata: str) -> Document:
    return {
        "apiVersion": _API_VERSION,
        "kind": _KIND,
        "metadata": {"$ref": f"#/$defs/{META}.ObjectMeta", "description": metadata},
    }


def _converted(schema: Document, words: Words) -> Document:
    out = {key: value for key, value in schema.items() if words == "v3" or key not in _NOT_IN_V2}
    if words == "v3" and out.get(INT_OR_STRING) and "anyOf" not in out and "allOf" not in out:
        out["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    if words == "v2":
        _leave_open(out, schema)
    if isinstance(out.get("properties"), dict):
        out["properties"] = {
            name: _converted(inner, words) for name, inner in out["properties"].items()
        }
    for key in ("items", "additionalProperties"):
        if isinstance(out.get(key), dict):
            out[key] = _converted(out[key], words)
    if out.get(EMBEDDED) and not (words == "v2" and out.get(PRESERVE)):
        out["properties"] = {**out.get("properties", {}), **_head("The object's metadata.")}
        out["required"] = list(dict.fromkeys((*out.get("required", ()), "kind", "apiVersion")))
    return out


def _leave_open(out: Document, schema: Document) -> None:
    if schema.get("nullable"):
        for key in ("type", "items", "properties"):
            out.pop(key, None)
    if schema.get(PRESERVE):
        out.pop("items", None)
        out.pop("properties", None)
        if out.get("type") == "object":
            del out["type"]
    if out.get("type") == "array" and "items" not in out:
        del out["type"]
    needed = _still_required(schema)
    if "required" in out and needed != out["required"]:
        out["required"] = needed
        if not needed:
            del out["required"]


def _still_required(schema: Document) -> list[str]:
    """Without those that may be null: their definition says nothing of null in v2."""
    values = schema.get("additionalProperties")
    if isinstance(values, dict) and values.get("nullable"):
        return []
    properties = schema.get("properties", {})
    return [
        name for name in schema.get("required", []) if not properties.get(name, {}).get("nullable")
    ]
