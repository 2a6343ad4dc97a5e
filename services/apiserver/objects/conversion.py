"""Kinds that rest in another kind's shape: events of both groups, autoscalers of both versions."""

from typing import Any

import msgspec

from pilothouse.services.apiserver.kinds.kind import Kind
from pilothouse.services.apiserver.objects import autoscaling
from pilothouse.services.apiserver.requests import Stored

Document = dict[str, Any]

_EVENT = {
    "note": "message",
    "regarding": "involvedObject",
    "reportingController": "reportingComponent",
    "deprecatedCount": "count",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedSource": "source",
}
_EVENT_BACK = {stored: served for served, stored in _EVENT.items()}


def to_stored(kind: Kind, stored_kind: Kind, document: Document) -> Document:
    """A document of ``kind`` in the shape of ``stored_kind``."""
    if kind.custom is not None:
        return {**document, "apiVersion": stored_kind.api_version}
    event = kind.plural == "events"
    result = _renamed(document, _EVENT) if event else autoscaling.up(document)
    return {**result, "apiVersion": stored_kind.api_version}


def to_served(kind: Kind, document: Document) -> Document:
    """A stored document in the shape of ``kind``."""
    if kind.custom is not None:
        shown = msgspec.json.decode(msgspec.json.encode(document))
        kind.custom.treatment.trim(shown)
        return {**shown, "apiVersion": kind.api_version}
    event = kind.plural == "events"
    result = _event_back(document) if event else autoscaling.down(document)
    return {**result, "apiVersion": kind.api_version}


def serve(kind: Kind, stored: Stored) -> Stored:
    """The bytes of a stored object as a reader of ``kind`` gets them."""
    if not kind.stored_as or not stored.json:
        return stored
    if kind.custom is not None:
        json = kind.custom.treatment.shown(stored.json, kind.api_version)
        return Stored(stored.key, stored.revision, json, stored.deleted)
    document = to_served(kind, msgspec.json.decode(stored.json))
    return Stored(stored.key, stored.revision, msgspec.json.encode(document), stored.deleted)


def _renamed(document: Document, words: dict[str, str]) -> Document:
    return {words.get(name, name): value for name, value in document.items()}


def _event_back(document: Document) -> Document:
    """Its time is always there, and null in events that were written without."""
    return {"eventTime": None, **_renamed(document, _EVENT_BACK)}
