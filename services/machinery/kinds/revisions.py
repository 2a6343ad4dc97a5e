"""ControllerRevisions: what a template said before, kept under a name and a number.

A revision holds a patch that puts its template back. Templates are told apart by what they say,
not by their hash: the hash only makes a name.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec

from pilothouse.services.machinery.adoption import Claim
from pilothouse.services.machinery.kinds.pods import EMPTY
from pilothouse.services.machinery.objects import Metadata, View

HASH = "controller.kubernetes.io/hash"
"""On a StatefulSet's revision: the end of its name."""

POD_HASH = "controller-revision-hash"
"""On a pod: the revision it was made from. On a DaemonSet's revision too."""

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_HASH_BYTES = 5
_ENDING_LETTERS = 10
_PREFIX_LETTERS_MAX = 223


class ControllerRevision(View, frozen=True, kw_only=True):
    metadata: Metadata = Metadata()
    revision: int = 0
    data: msgspec.Raw = EMPTY


@dataclass(frozen=True, slots=True)
class Wanted:
    """The revision of the present template; ``present`` is None while it is to be made.

    ``doubles`` say the same as ``present`` and are older.
    """

    name: str
    ending: str
    number: int
    data: bytes
    present: ControllerRevision | None = None
    doubles: tuple[ControllerRevision, ...] = ()


@dataclass(frozen=True, slots=True)
class History:
    """One step of an object's history: whose revisions are whose, the one of now, those to drop.

    A ``wanted`` of None: nothing is made or numbered.
    """

    claim: Claim[ControllerRevision]
    wanted: Wanted | None
    delete: tuple[ControllerRevision, ...] = ()


def snapshot(template: msgspec.Raw) -> bytes:
    """The patch that puts ``template`` back, its keys in order."""
    return _snapshot(bytes(template))


@lru_cache(maxsize=1024)
def _snapshot(template: bytes) -> bytes:
    said = {**msgspec.json.decode(template), "$patch": "replace"}
    return msgspec.json.encode({"spec": {"template": said}}, order="sorted")


def is_new(wanted: Wanted) -> bool:
    """Whether it is yet to be made, or to be numbered anew."""
    return wanted.present is None or wanted.present.revision != wanted.number


def template_of(revision: ControllerRevision) -> msgspec.Raw:
    """The template that a revision keeps."""
    said = (msgspec.json.decode(revision.data).get("spec") or {}).get("template") or {}
    said.pop("$patch", None)
    return msgspec.Raw(msgspec.json.encode(said))


def in_order(found: Sequence[ControllerRevision]) -> tuple[ControllerRevision, ...]:
    """The earliest first."""
    return tuple(sorted(found, key=_rank))


def _rank(revision: ControllerRevision) -> tuple[int, str, str]:
    metadata = revision.metadata
    return (revision.revision, metadata.creation_timestamp or "", metadata.name)


def wanted(
    owner: str, template: msgspec.Raw, owned: Sequence[ControllerRevision], collisions: int | None
) -> Wanted:
    """``owned`` are the revisions of the object named ``owner``, in order.

    A template met before takes the number after the last; the last one keeps its own.
    """
    data = snapshot(template)
    mark = digest(data)
    equal = [item for item in owned if digest(bytes(item.data)) == mark]
    following = owned[-1].revision + 1 if owned else 1
    if not equal:
        end = ending(data, collisions)
        return Wanted(f"{owner[:_PREFIX_LETTERS_MAX]}-{end}", end, following, data)
    latest = equal[-1]
    name = latest.metadata.name
    labels = latest.metadata.labels
    return Wanted(
        name=name,
        ending=labels.get(POD_HASH) or labels.get(HASH) or name.rpartition("-")[2],
        number=latest.revision if latest is owned[-1] else following,
        data=data,
        present=latest,
        doubles=tuple(equal[:-1]),
    )


@lru_cache(maxsize=1024)
def digest(data: bytes) -> bytes:
    """The same for JSON that says the same, whatever the order; null says as much as nothing."""
    canonical = msgspec.json.encode(_without_nothing(msgspec.json.decode(data)), order="sorted")
    return hashlib.blake2b(canonical, digest_size=16).digest()


def _without_nothing(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nothing(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nothing(item) for item in value]
    return value


def ending(content: bytes, collisions: int | None) -> str:
    """A name's end, in letters that make no words; ``collisions`` finds another one."""
    salted = content + str(collisions or 0).encode()
    number = int.from_bytes(hashlib.blake2b(salted, digest_size=_HASH_BYTES).digest())
    letters = []
    for _ in range(_ENDING_LETTERS):
        number, letter = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[letter])
    return "".join(letters)
