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
_GVK = "x-kubernetes-group-version-kind"
_NOT_IN_V2 = frozenset({"allOf", "anyOf", "oneOf", "not", "nullable", "default"})
_API_VERSION = {"type": "string", "description": "The group and version of this object's schema."}
_KIND = {"type": "string", "description": "The kind of this object, in CamelCase."}


def definitions(kinds: Iterable[Kind], source: Source, words: Words) -> Document:
    """Each kind's definition and its list's."""
    found: Document = {}
    for kind in kinds:
        schema = source.definition(kind.definition) if kind.definition in source else {}
        found[kind.definition] = one(kind, schema, words)
        found[list_definition(kind)] = many(kind)
    return found


def one(kind: Kind, schema: Document, words: Words) -> Document:
    """The definition of an object; without a schema, or open at its root in v2, it says little."""
    spoken = {"group": kind.group, "version": kind.version, "kind": kind.kind}
    if not schema or _says_nothing(schema) or (words == "v2" and schema.get(PRESERVE)):
        return {"type": "object", _GVK: [spoken]}
    out = _converted(schema, words)
    out["properties"] = {**out.get("properties", {}), **_head("This object's metadata.")}
    out[_GVK] = [spoken]
    return out


def many(kind: Kind) -> Document:
    """The definition of a list."""
    listed = {"group": kind.group, "version": kind.version, "kind": f"{kind.kind}List"}
    return {
        "type": "object",
        "description": f"{kind.kind}List is a list of {kind.kind}",
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
    }


def _head(metadata: str) -> Document:
    return {
        "apiVersion": _API_VERSION,
        "kind": _KIND,
        "metadata": {"$ref": f"#/$defs/{META}.ObjectMeta", "description": metadata},
    }


def _says_nothing(schema: Document) -> bool:
    """Whether there is no schema but what every object has."""
    own = set(schema.get("properties", {})) - {"apiVersion", "kind", "metadata"}
    return not own and set(schema) <= {"type", "properties", PRESERVE, _GVK}


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
