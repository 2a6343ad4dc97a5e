"""Server-side apply: what it makes of the live object, and of its managers."""

from typing import Any

from pilothouse.services.machinery.fields import conflicts, fieldset
from pilothouse.services.machinery.fields.extraction import mentioned
from pilothouse.services.machinery.fields.fieldset import FieldSet
from pilothouse.services.machinery.fields.managers import Managed, Owned, Owner
from pilothouse.services.machinery.fields.merging import merged
from pilothouse.services.machinery.fields.ownership import (
    STRIPPED,
    Compared,
    Versions,
    Write,
    current,
    left_to,
)
from pilothouse.services.machinery.fields.removal import removed, with_named_fields
from pilothouse.services.machinery.fields.types import Type

Document = dict[str, Any]


def applied(
    versions: Versions,
    managed: Managed,
    live: Document,
    configuration: Document,
    write: Write,
    *,
    force: bool = False,
) -> tuple[Document, Managed]:
    """The object with ``configuration``, all in the write's version, and its managers.

    The configuration fits its type. What its manager applied last time and leaves out now is
    gone, unless somebody else has it too. An apply that changes nothing gives ``live`` itself.

    Raises:
        Conflicts: others own what it changes, and ``force`` is not given.
    """
    kind = _type(versions, write.version)
    managed = dict(current(versions, managed))
    last = managed.get(write.manager)
    fields = fieldset.recursive_difference(mentioned(kind, configuration), write.reset)
    managed[write.manager] = Owned(fields, write.version, last.time if last else "")
    new = merged(kind, live, configuration)
    if last is not None and last.fields:
        new = _pruned(versions, new, managed, write, last)
    changed = new != live
    managed = _taken(Compared(versions, live, new, write), managed, write, force=force)
    fields = fieldset.difference(fields, STRIPPED)
    managed.pop(write.manager, None)
    if fields:
        since = write.time if changed else last.time if last else ""
        owned = Owned(fields, write.version, since)
        same = last is not None and _same(last, owned)
        managed[write.manager] = last if same and last is not None else owned
    return (new if changed else live), managed


def _same(one: Owned, other: Owned) -> bool:
    return (one.fields, one.version, one.time) == (other.fields, other.version, other.time)


def _type(versions: Versions, version: str) -> Type:
    kind = versions.type(version)
    if kind is None:
        raise KeyError(version)
    return kind


def _taken(compared: Compared, managed: Managed, write: Write, *, force: bool) -> Managed:
    """The managers after ``write.manager`` took what it changed from the others."""
    others = {who: owned for who, owned in managed.items() if who != write.manager}
    if not force:
        found: dict[Owner, FieldSet] = {}
        for who, owned in others.items():
            comparison = compared.at(owned.version)
            if comparison is None:
                continue
            if clash := fieldset.intersection(owned.fields, comparison.changed):
                found[who] = clash
        if found:
            raise conflicts.of_sets(found)
    return left_to(compared, others)


def _pruned(
    versions: Versions, new: Document, managed: Managed, write: Write, last: Owned
) -> Document:
    """Without what was applied last time and is now neither applied nor anybody's."""
    now = managed[write.manager].fields
    if last.version == write.version and not fieldset.difference(last.fields, now):
        return new
    kind = versions.type(last.version)
    if kind is None:
        return new
    whole = _converted(versions, new, write.version, last.version)
    rest = removed(kind, whole, with_named_fields(kind, last.fields)) or {}
    rest = _added_back(versions, whole, rest, last.version, managed)
    # Only what was applied goes: what nobody owns, or came by an update, stays.
    kept = _named(kind, rest)
    gone = fieldset.intersection(
        fieldset.difference(_named(kind, whole), kept), with_named_fields(kind, last.fields)
    )
    result = removed(kind, whole, gone) or {}
    return _converted(versions, result, last.version, write.version)


def _added_back(
    versions: Versions, whole: Document, rest: Document, version: str, managed: Managed
) -> Document:
    """``rest`` with all of ``whole`` that somebody owns, at every version in which one does."""
    by_version: dict[str, FieldSet] = {version: {}}
    for owned in managed.values():
        so_far = by_version.get(owned.version, {})
        by_version[owned.version] = fieldset.union(so_far, owned.fields)
    at = version
    for other, fields in by_version.items():
        kind = versions.type(other)
        if kind is None or (other == version and not fields):
            continue
        whole = _converted(versions, whole, at, other)
        rest = _converted(versions, rest, at, other)
        at = other
        wanted = fieldset.union(_named(kind, rest), with_named_fields(kind, fields))
        rest = removed(kind, whole, fieldset.difference(_named(kind, whole), wanted)) or {}
    return _converted(versions, rest, at, version)


def _named(kind: Type, document: Document) -> FieldSet:
    return with_named_fields(kind, mentioned(kind, document))


def _converted(versions: Versions, document: Document, at: str, to: str) -> Document:
    return document if at == to else versions.convert(document, to)
