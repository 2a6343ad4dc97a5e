"""The annotation in which kubectl keeps what it applied from the client's side.

kubectl's server-side apply takes those fields over without a conflict, and the annotation, where
an object has it, goes on to say what was applied last.
"""

from typing import Any

import msgspec

from pilothouse.services.machinery.fields import fieldset
from pilothouse.services.machinery.fields.comparison import compare
from pilothouse.services.machinery.fields.extraction import mentioned
from pilothouse.services.machinery.fields.fieldset import FieldSet
from pilothouse.services.machinery.fields.types import Type

Document = dict[str, Any]

MANAGER = "kubectl"
ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration"

_encode = msgspec.json.Encoder(order="sorted").encode


def fields(kind: Type, live: Document, api_version: str) -> FieldSet:
    """What the annotation says and the live object still has; empty when there is no such."""
    text = _annotations(live).get(ANNOTATION)
    if not text:
        return {}
    try:
        last = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return {}
    if not isinstance(last, dict) or last.get("apiVersion") != api_version:
        return {}
    compared = compare(kind, last, live)
    result = fieldset.difference(mentioned(kind, last), compared.modified)
    return fieldset.difference(fieldset.difference(result, compared.added), compared.removed)


def kept_in_step(document: Document, configuration: Document) -> Document:
    """``document`` with an annotation that says ``configuration``, if it has one at all."""
    annotations = _annotations(document)
    if not annotations.get(ANNOTATION):
        return document
    named = dict(configuration.get("metadata") or {})
    if isinstance(given := named.get("annotations"), dict):
        named["annotations"] = {name: text for name, text in given.items() if name != ANNOTATION}
        if not named["annotations"]:
            del named["annotations"]
    text = _encode({**configuration, "metadata": named}).decode() + "\n"
    return {
        **document,
        "metadata": {**document["metadata"], "annotations": {**annotations, ANNOTATION: text}},
    }


def _annotations(document: Document) -> dict[str, Any]:
    found = (document.get("metadata") or {}).get("annotations")
    return found if isinstance(found, dict) else {}
