"""The defaults of a schema are themselves as it says, and hold nothing that it does not know."""

import copy
from collections.abc import Mapping
from typing import Any

from pilothouse.services.apiserver.crds.pruning import EMBEDDED, compile_prune
from pilothouse.services.apiserver.crds.values import ABSENT, compile_check
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause

Schema = Mapping[str, Any]


def check_defaults(schema: Schema, where: str) -> list[Cause]:
    """What is wrong with the defaults anywhere below."""
    causes: list[Cause] = []
    default = schema.get("default")
    if default is not None:
        causes += _check(schema, default, f"{where}.default")
    if isinstance(schema.get("items"), dict):
        causes += check_defaults(schema["items"], f"{where}.items")
    for name, inner in (schema.get("properties") or {}).items():
        causes += check_defaults(inner, f"{where}.properties[{name}]")
    return causes


def _check(schema: Schema, default: Any, where: str) -> list[Cause]:
    # Wrapped, as only an embedded object is a root that keeps apiVersion, kind and metadata.
    whole = {"type": "object", "properties": {"default": {**schema, "default": None}}}
    holder = {"default": copy.deepcopy(default)}
    prune = compile_prune(whole)
    causes: list[Cause] = []
    if prune is not None and prune(holder, None, []) and not schema.get(EMBEDDED):
        causes.append(names.invalid(where, default, "must not have unknown fields"))
    found: list[Cause] = []
    compile_check(schema)(default, ABSENT, (None, where), found)
    return causes + found
