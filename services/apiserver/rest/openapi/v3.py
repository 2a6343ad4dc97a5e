"""A document of OpenAPI v3, made of operations and definitions. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from pilothouse.services.apiserver.rest.openapi import parameters
from pilothouse.services.apiserver.rest.openapi.definitions import Source, closure, place
from pilothouse.services.apiserver.rest.openapi.operation import TEXT, Operation

Document: TypeAlias = dict[str, Any]

REASONS = {200: "OK", 201: "Created", 202: "Accepted"}
UNAUTHORIZED = "Unauthorized"
SECURITY = {
    "BearerToken": {
        "type": "apiKey", "name": "authorization", "in": "header",
        "description": "A bearer token, or a client certificate in its stead.",
    }
}  # fmt: skip


def document(
    operations: Sequence[Operation], source: Source, own: Mapping[str, Document], version: str
) -> Document:
    """The document; ``own`` are definitions that ``source`` does not have."""
    needed = {name for each in operations for _, name in each.answers if name != TEXT}
    needed |= {each.body for each in operations if each.body}
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": version},
        "paths": paths(operations),
        "components": {
            "schemas": closure(needed, source, "v3", own),
            "securitySchemes": SECURITY,
        },
    }


def paths(operations: Iterable[Operation]) -> Document:
    """Operations by path and method; what all of a path take stands once."""
    grouped: dict[str, list[Operation]] = {}
    for operation in operations:
        grouped.setdefault(operation.path, []).append(operation)
    return {path: _path(grouped[path]) for path in sorted(grouped)}


def common(operations: Sequence[Operation]) -> tuple[str, ...]:
    """The query parameters that all of them take."""
    shared = set(operations[0].query).intersection(*(each.query for each in operations[1:]))
    return tuple(sorted(shared))


def _path(operations: Sequence[Operation]) -> Document:
    shared = common(operations)
    item: Document = {each.method: _operation(each, shared) for each in operations}
    listed = [parameters.v3(name, "path") for name in sorted(operations[0].in_path)]
    listed += [parameters.v3(name, "query") for name in shared]
    if listed:
        item["parameters"] = listed
    return item


def _operation(operation: Operation, shared: Sequence[str]) -> Document:
    out: Document = {
        "tags": [operation.tag],
        "description": operation.description,
        "operationId": operation.id,
    }
    own = sorted(set(operation.query).difference(shared))
    if own:
        out["parameters"] = [parameters.v3(name, "query") for name in own]
    if operation.body:
        schema = {"schema": {"$ref": place("v3", operation.body)}}
        out["requestBody"] = {"content": dict.fromkeys(operation.consumes, schema)}
        if operation.body_required:
            out["requestBody"]["required"] = True
    out["responses"] = {
        str(code): _answer(code, name, operation.produces) for code, name in operation.answers
    }
    out["responses"]["401"] = {"description": UNAUTHORIZED}
    if operation.action:
        group, version, kind = operation.spoken
        out["x-kubernetes-action"] = operation.action
        out["x-kubernetes-group-version-kind"] = {"group": group, "version": version, "kind": kind}
    return out


def _answer(code: int, name: str, media_types: Sequence[str]) -> Document:
    schema = {"type": "string"} if name == TEXT else {"$ref": place("v3", name)}
    return {
        "description": REASONS[code],
        "content": {each: {"schema": schema} for each in media_types},
    }
