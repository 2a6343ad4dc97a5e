"""Schemas in the words of OpenAPI v3 and v2, and all that they refer to. Pure.

The published schemas say of each optional field that it may be null, and list the versions that
``apiVersion`` may hold; neither is in Kubernetes' own documents.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, Protocol, TypeAlias

Document: TypeAlias = dict[str, Any]
Rewrite: TypeAlias = Callable[[Document, list[str]], Document]
Words: TypeAlias = Literal["v2", "v3"]

_PUBLISHED = "#/$defs/"
_PLACES = {"v3": "#/components/schemas/", "v2": "#/definitions/"}
_GVK = "x-kubernetes-group-version-kind"
_QUANTITY = "An amount such as 500m, 2, 128Mi or 1e3."
_INT_OR_STRING = "A whole number, or text: the name of a port or a percentage."
# Types with a text or number form.
_UNIONS: dict[Words, dict[str, Document]] = {
    "v3": {
        "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {
            "description": _INT_OR_STRING, "format": "int-or-string",
            "oneOf": [{"type": "integer"}, {"type": "string"}],
        },
        "io.k8s.apimachinery.pkg.api.resource.Quantity": {
            "description": _QUANTITY, "oneOf": [{"type": "string"}, {"type": "number"}],
        },
    },
    "v2": {
        "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {
            "description": _INT_OR_STRING, "type": "string", "format": "int-or-string",
        },
        "io.k8s.apimachinery.pkg.api.resource.Quantity": {
            "description": _QUANTITY, "type": "string",
        },
    },
}  # fmt: skip
_MAPS = ("properties",)
_LISTS = ("allOf", "anyOf", "oneOf")


class Source(Protocol):
    """Schemas by name, as they are published."""

    def copy(self, name: str) -> Document: ...

    def __contains__(self, name: object) -> bool: ...


def place(words: Words, name: str) -> str:
    """What refers to a definition."""
    return _PLACES[words] + name


def closure(
    names: Iterable[str], source: Source, words: Words, own: Mapping[str, Document]
) -> Document:
    """The definitions of ``names`` and all they refer to; those in ``own`` stand for themselves."""
    found: Document = {}
    waiting = sorted(names, reverse=True)
    while waiting:
        name = waiting.pop()
        if name in found or (name not in own and name not in source):
            continue
        union = _UNIONS[words].get(name)
        if union is not None:
            found[name] = union
            continue
        met: list[str] = []
        found[name] = rewritten(own[name] if name in own else source.copy(name), words, met)
        waiting += met
    return dict(sorted(found.items()))


def rewritten(schema: Document, words: Words, met: list[str]) -> Document:
    """A published schema in the words of one version; what it refers to is added to ``met``."""
    named = _GVK in schema
    out: Document = {}
    for key, value in schema.items():
        if key == "$ref":
            name = str(value).removeprefix(_PUBLISHED)
            met.append(name)
            if words == "v3" and len(schema) > 1:
                # A reference with siblings must be wrapped, or the siblings do not count.
                out["allOf"] = [{"$ref": place(words, name)}]
            else:
                out["$ref"] = place(words, name)
        elif key == "type" and isinstance(value, list):
            out["type"] = value[0]
        elif key in _MAPS:
            out[key] = {name: rewritten(inner, words, met) for name, inner in value.items()}
            if named:
                _forget_versions(out[key])
        elif key in _LISTS:
            out[key] = [rewritten(inner, words, met) for inner in value]
        elif key in ("items", "additionalProperties", "not") and isinstance(value, dict):
            out[key] = rewritten(value, words, met)
        else:
            out[key] = value
    return out


def _forget_versions(properties: Document) -> None:
    for name in ("apiVersion", "kind"):
        if name in properties:
            properties[name].pop("enum", None)


def referenced(value: Any) -> Iterator[str]:
    """Every ``$ref`` in a document."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "$ref" and isinstance(inner, str):
                yield inner
            else:
                yield from referenced(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from referenced(inner)
