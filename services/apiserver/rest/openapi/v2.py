"""The document of OpenAPI v2: all group versions in one. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from pilothouse.services.apiserver.rest.openapi import parameters
from pilothouse.services.apiserver.rest.openapi.definitions import Source, closure, place
from pilothouse.services.apiserver.rest.openapi.operation import (
    JSON,
    PROTOBUF,
    TEXT,
    YAML,
    Operation,
)
from pilothouse.services.apiserver.rest.openapi.v3 import (
    REASONS,
    SECURITY,
    UNAUTHORIZED,
    common,
)

Document: TypeAlias = dict[str, Any]

_ASKED = (JSON, YAML, PROTOBUF)


def document(
    operations: Sequence[Operation], source: Source, own: Mapping[str, Document], version: str
) -> Document:
    """The document; ``own`` are definitions that ``source`` does not have."""
    needed = {name for each in operations for _, name in each.answers if name != TEXT}
    needed |= {each.body for each in operations if each.body}
    shared: Document = {}
    return {
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": version},
        "paths": _paths(operations, shared),
        "definitions": closure(needed, source, "v2", own),
        "parameters": dict(sorted(shared.items())),
        "securityDefinitions": SECURITY,
        "security": [{name: []} for name in SECURITY],
    }


def _paths(operations: Sequence[Operation], shared: Document) -> Document:
    grouped: dict[str, list[Operation]] = {}
    for operation in operations:
        grouped.setdefault(operation.path, []).append(operation)
    return {path: _path(grouped[path], shared) for path in sorted(grouped)}


def _path(operations: Sequence[Operation], shared: Document) -> Document:
    everywhere = common(operations)
    item: Document = {each.method: _operation(each, everywhere, shared) for each in operations}
    listed = [_parameter(name, "path", shared) for name in sorted(operations[0].in_path)]
    listed += [_parameter(name, "query", shared) for name in everywhere]
    if listed:
        item["parameters"] = listed
    return item


def _parameter(name: str, where: str, shared: Document) -> Document:
    """A reference; every parameter stands once in ``shared``."""
    key = parameters.v2_key(name, where)
    if key not in shared:
        shared[key] = parameters.v2(name, where)
    return {"$ref": f"#/parameters/{key}"}


def _operation(operation: Operation, everywhere: Sequence[str], shared: Document) -> Document:
    taken: list[Document] = []
    if operation.body:
        schema = {"$ref": place("v2", operation.body)}
        body: Document = {"name": "body", "in": "body", "schema": schema}
        if operation.body_required:
            body["required"] = True
        taken.append(body)
    own = sorted(set(operation.query).difference(everywhere))
    taken += [_parameter(name, "query", shared) for name in own]
    out: Document = {
        "description": operation.description,
        "consumes": list(operation.consumes if operation.action else _ASKED),
        "produces": list(operation.produces),
        "schemes": ["https"],
        "tags": [operation.tag],
        "operationId": operation.id,
        "responses": {str(code): _answer(code, name) for code, name in operation.answers},
    }
    if taken:
        out["parameters"] = taken
    out["responses"]["401"] = {"description": UNAUTHORIZED}
    if operation.action:
        group, version, kind = operation.spoken
        out["x-kubernetes-action"] = operation.action
        out["x-kubernetes-group-version-kind"] = {"group": group, "version": version, "kind": kind}
    return out


def _answer(code: int, name: str) -> Document:
    schema = {"type": "string"} if name == TEXT else {"$ref": place("v2", name)}
    return {"description": REASONS[code], "schema": schema}
