"""What is in the store, as the invariants look at it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.storage import Change

Document = dict[str, Any]

MEMORY_SECONDS = 150.0
"""How old what a component acts on may be: watches lag, calls stall."""

_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class Step:
    """One object changed; ``old`` None at its birth, ``new`` None at its death."""

    plural: str
    key: Key
    old: Document | None
    new: Document | None

    @property
    def document(self) -> Document:
        """What is there, or was."""
        found = self.new if self.new is not None else self.old
        return found if found is not None else {}


@dataclass(slots=True)
class Span:
    """A number that changes: what it was within the last while."""

    points: list[tuple[float, int]] = field(default_factory=list)

    def put(self, now: float, value: int) -> None:
        if not self.points or self.points[-1][1] != value:
            self.points.append((now, value))

    def recent(self, now: float) -> list[int]:
        """All values since then, the one it had at the beginning among them."""
        return [
            value
            for index, (_, value) in enumerate(self.points)
            if index + 1 == len(self.points) or self.points[index + 1][0] >= now - MEMORY_SECONDS
        ]


class State:
    """Every object by plural and key; objects also by the uid of their controller."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[Key, Document]] = {}
        self._owned: dict[tuple[str, str], dict[Key, None]] = {}

    def apply(self, change: Change) -> Step | None:
        """Take in a change; None for what is no object of the API."""
        parts = change.key.decode().split("/")[2:]
        if len(parts) > 1 and "." in parts[0]:
            parts = parts[1:]
        if len(parts) not in {2, 3} or not change.key.startswith(b"/registry/"):
            return None
        plural, key = parts[0], Key(parts[1] if len(parts) > 2 else "", parts[-1])  # noqa: PLR2004 - with a namespace
        known = self.objects.setdefault(plural, {})
        old = known.pop(key, None)
        if old is not None:
            self._owned.get((plural, controller_uid(old)), {}).pop(key, None)
        new: Document | None = None
        if change.entry is not None:
            new = known[key] = _decode(change.entry.value)
            self._owned.setdefault((plural, controller_uid(new)), {})[key] = None
        return Step(plural, key, old, new)

    def get(self, plural: str, key: Key) -> Document | None:
        return self.objects.get(plural, {}).get(key)

    def all(self, plural: str) -> dict[Key, Document]:
        return self.objects.get(plural, {})

    def owned(self, plural: str, uid: str) -> Iterator[Document]:
        """Objects that this one controls."""
        known = self.objects.get(plural, {})
        for key in tuple(self._owned.get((plural, uid), {})):
            yield known[key]


def controller(document: Document) -> Document | None:
    """The owner reference of its controller."""
    owners = document["metadata"].get("ownerReferences", ())
    return next((owner for owner in owners if owner.get("controller")), None)


def controller_uid(document: Document) -> str:
    found = controller(document)
    return "" if found is None else str(found["uid"])


def is_active(pod: Document) -> bool:
    """Neither asked to go nor at its end."""
    return not is_deleting(pod) and phase(pod) not in {"Succeeded", "Failed"}


def is_deleting(document: Document) -> bool:
    return "deletionTimestamp" in document["metadata"]


def phase(pod: Document) -> str:
    return str(pod.get("status", {}).get("phase", "Pending"))


def is_ready(pod: Document) -> bool:
    """Its condition says so, and it is not going."""
    return is_active(pod) and is_true(pod, "Ready")


def is_true(document: Document, condition: str) -> bool:
    found = document.get("status", {}).get("conditions", ())
    return any(item["type"] == condition and item["status"] == "True" for item in found)
