"""OpenAPI v3: an index, and one document per group version, made from kinds and their schemas.

The documents hold what kubectl reads: every schema with its descriptions, and for each kind the
paths with the operations, their ``x-kubernetes-group-version-kind``, the ``fieldValidation``
parameter and the patch types that are taken.
"""

import hashlib
from collections.abc import Iterator
from typing import Any, TypeAlias

import msgspec

from pilothouse.services.apiserver.kinds.catalog import Catalog
from pilothouse.services.apiserver.kinds.kind import Kind
from pilothouse.services.apiserver.kinds.schemas import Schemas
from pilothouse.services.apiserver.rest.negotiation import JSON, PATCH_TYPES

Document: TypeAlias = dict[str, Any]

_PUBLISHED = "#/$defs/"
_COMPONENTS = "#/components/schemas/"
_STATUS = "io.k8s.apimachinery.pkg.apis.meta.v1.Status"
# Types with a text or number form; the published schemas say it in a way explain can not show.
_OPAQUE: dict[str, Document] = {
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {
        "type": "string", "format": "int-or-string",
        "description": "A whole number, or text: the name of a port or a percentage.",
    },
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {
        "type": "string",
        "description": "An amount such as 500m, 2, 128Mi or 1e3.",
    },
}  # fmt: skip
_QUERY: dict[str, tuple[str, ...]] = {
    "get": (),
    "list": (
        "allowWatchBookmarks", "continue", "fieldSelector", "labelSelector", "limit",
        "resourceVersion", "resourceVersionMatch", "sendInitialEvents", "timeoutSeconds", "watch",
    ),
    "create": ("dryRun", "fieldManager", "fieldValidation"),
    "update": ("dryRun", "fieldManager", "fieldValidation"),
    "patch": ("dryRun", "fieldManager", "fieldValidation", "force"),
    "delete": ("dryRun", "gracePeriodSeconds", "orphanDependents", "propagationPolicy"),
    "deletecollection": ("continue", "dryRun", "fieldSelector", "labelSelector", "limit"),
}  # fmt: skip
_METHODS = {
    "get": "get", "list": "get", "create": "post", "update": "put", "patch": "patch",
    "delete": "delete", "deletecollection": "delete",
}  # fmt: skip
_ACTIONS = {"create": "post", "update": "put"}
_INTEGERS = frozenset({"limit", "timeoutSeconds", "gracePeriodSeconds"})
_BOOLEANS = frozenset(
    {"allowWatchBookmarks", "sendInitialEvents", "watch", "force", "orphanDependents"}
)
_OBJECT_VERBS = ("get", "update", "patch", "delete")
_COLLECTION_VERBS = ("list", "create", "deletecollection")


class OpenApi:
    """The documents, encoded; each is built when it is first asked for, then kept."""

    def __init__(self, catalog: Catalog, schemas: Schemas, version: str) -> None:
        self._catalog = catalog
        self._schemas = schemas
        self._version = version
        self._documents: dict[str, bytes] = {}

    def index(self) -> Document:
        """``/openapi/v3``: where each document is. The hash is of what the document is made of."""
        return {
            "paths": {
                path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={self._hash(path)}"}
                for path in self._group_paths()
            }
        }

    def document(self, path: str) -> bytes | None:
        """The document of ``api/v1`` or ``apis/<group>/<version>``; None for any other."""
        if path not in self._documents:
            kinds = self._kinds(path)
            if not kinds:
                return None
            self._documents[path] = msgspec.json.encode(self._build(path, kinds))
        return self._documents[path]

    def swagger(self) -> Document:
        """``/openapi/v2`` in its JSON form: the head, for clients that only look whether it is."""
        head = {"title": "Kubernetes", "version": self._version}
        return {"swagger": "2.0", "info": head, "paths": {}, "definitions": {}}

    def _group_paths(self) -> Iterator[str]:
        for group, versions in self._catalog.groups().items():
            for version in versions:
                yield f"apis/{group}/{version}" if group else f"api/{version}"

    def _kinds(self, path: str) -> list[Kind]:
        return [kind for kind in self._catalog.all() if _group_path(kind) == path]

    def _hash(self, path: str) -> str:
        """Changes with the kinds and with our version, which brings the schemas."""
        digest = hashlib.sha256(self._version.encode())
        for kind in self._kinds(path):
            digest.update(repr((kind, sorted(kind.subresources))).encode())
        return digest.hexdigest()[:32].upper()

    def _build(self, path: str, kinds: list[Kind]) -> Document:
        paths: Document = {}
        needed = {_STATUS}
        for kind in kinds:
            paths.update(_paths(path, kind))
            needed.add(kind.definition)
            needed.add(f"{kind.definition}List")
        return {
            "openapi": "3.0.0",
            "info": {"title": "Kubernetes", "version": self._version},
            "paths": paths,
            "components": {"schemas": self._closure(needed)},
        }

    def _closure(self, names: set[str]) -> Document:
        schemas: Document = {}
        waiting = sorted(names, reverse=True)
        while waiting:
            name = waiting.pop()
            if name in schemas or name not in self._schemas:
                continue
            found: list[str] = []
            schemas[name] = _OPAQUE.get(name) or _rewritten(self._schemas.definition(name), found)
            waiting += found
        return schemas


def _group_path(kind: Kind) -> str:
    return f"apis/{kind.group}/{kind.version}" if kind.group else f"api/{kind.version}"


def _rewritten(schema: Any, found: list[str]) -> Any:
    """A published schema in OpenAPI v3's words; the definitions it names are added to ``found``."""
    if isinstance(schema, list):
        return [_rewritten(item, found) for item in schema]
    if not isinstance(schema, dict):
        return schema
    rewritten: Document = {}
    for key, value in schema.items():
        if key == "$ref" and isinstance(value, str):
            name = value.removeprefix(_PUBLISHED)
            found.append(name)
            # A reference with siblings must be wrapped, or the siblings do not count.
            rewritten["allOf"] = [{"$ref": _COMPONENTS + name}]
        elif key == "type" and isinstance(value, list):
            rewritten["type"] = value[0]
        elif key == "enum" and isinstance(value, list):
            rewritten["enum"] = value
        else:
            rewritten[key] = _rewritten(value, found)
    if list(rewritten) == ["allOf"] and "$ref" in schema:
        return rewritten["allOf"][0]
    return rewritten


def _paths(root: str, kind: Kind) -> Document:
    place = (
        f"/{root}/namespaces/{{namespace}}/{kind.plural}"
        if kind.namespaced
        else f"/{root}/{kind.plural}"
    )
    paths: Document = {}
    collection = _operations(kind, [verb for verb in _COLLECTION_VERBS if verb in kind.verbs])
    if collection:
        paths[place] = {**collection, "parameters": _path_parameters(kind, named=False)}
    if kind.namespaced and "list" in kind.verbs:
        paths[f"/{root}/{kind.plural}"] = _operations(kind, ["list"], everywhere=True)
    single = _operations(kind, [verb for verb in _OBJECT_VERBS if verb in kind.verbs])
    if single:
        paths[f"{place}/{{name}}"] = {**single, "parameters": _path_parameters(kind, named=True)}
    for name in ("scale", "status"):
        if name in kind.subresources:
            operations = _operations(kind, ["get", "update", "patch"], subresource=name)
            operations["parameters"] = _path_parameters(kind, named=True)
            paths[f"{place}/{{name}}/{name}"] = operations
    return paths


def _operations(
    kind: Kind, verbs: list[str], *, subresource: str = "", everywhere: bool = False
) -> Document:
    return {
        _METHODS[verb]: _operation(kind, verb, subresource, everywhere=everywhere) for verb in verbs
    }


def _operation(kind: Kind, verb: str, subresource: str, *, everywhere: bool) -> Document:
    spoken = kind.subresources[subresource] if subresource else kind
    name = f"{kind.definition}List" if verb == "list" else kind.definition
    schema = {"$ref": _COMPONENTS + name} if not subresource else {"type": "object"}
    answer = {"description": "OK", "content": {JSON: {"schema": schema}}}
    operation: Document = {
        "operationId": _operation_id(kind, verb, subresource, everywhere=everywhere),
        "tags": [kind.api_version.replace("/", "_").replace(".", "_")],
        "parameters": [_parameter(parameter) for parameter in _QUERY[verb]],
        "responses": {"200": answer},
        "x-kubernetes-action": _ACTIONS.get(verb, verb),
        "x-kubernetes-group-version-kind": {
            "group": spoken.group, "version": spoken.version, "kind": spoken.kind,
        },
    }  # fmt: skip
    if verb == "patch":
        operation["requestBody"] = {
            "content": {media_type: {"schema": {"type": "object"}} for media_type in PATCH_TYPES}
        }
    elif verb in ("create", "update"):
        operation["requestBody"] = {"content": {"*/*": {"schema": schema}}, "required": True}
    return operation


def _operation_id(kind: Kind, verb: str, subresource: str, *, everywhere: bool) -> str:
    words = {"get": "read", "update": "replace", "deletecollection": "deleteCollection"}
    group = "".join(
        part.capitalize() for part in (kind.group.split(".")[0] or "core", kind.version)
    )
    scope = "Namespaced" if kind.namespaced and not everywhere else ""
    tail = "ForAllNamespaces" if everywhere else subresource.capitalize()
    return f"{words.get(verb, verb)}{group}{scope}{kind.kind}{tail}"


def _parameter(name: str) -> Document:
    kind = "integer" if name in _INTEGERS else "boolean" if name in _BOOLEANS else "string"
    return {"name": name, "in": "query", "schema": {"type": kind, "uniqueItems": True}}


def _path_parameters(kind: Kind, *, named: bool) -> list[Document]:
    names = (["name"] if named else []) + (["namespace"] if kind.namespaced else [])
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in names
    ]
