"""How managers change with a write that is no apply (that is :mod:`.applying`).

Objects and sets are in the words of an API version. ``Versions`` brings an object into another
one; an entry of a version that is no longer served is dropped.
"""

from dataclasses import dataclass
from typing import Any, Protocol

from pilothouse.services.machinery.fields import fieldset
from pilothouse.services.machinery.fields.comparison import Comparison, compare
from pilothouse.services.machinery.fields.extraction import filled
from pilothouse.services.machinery.fields.fieldset import FieldSet
from pilothouse.services.machinery.fields.managers import Managed, Owned, Owner
from pilothouse.services.machinery.fields.reconciling import reconciled
from pilothouse.services.machinery.fields.types import Type

Document = dict[str, Any]

STRIPPED = fieldset.of_paths(
    ("apiVersion",), ("kind",), ("metadata",),
    *(("metadata", name) for name in (
        "name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation",
        "managedFields", "resourceVersion",
    )),
)  # fmt: skip
"""What nobody owns."""


class Versions(Protocol):
    """The versions of one kind. ``schemas_change`` while it is served, as those of CRDs do."""

    @property
    def schemas_change(self) -> bool: ...

    def type(self, version: str) -> Type | None:
        """The type of its objects there; None when the version is not served."""
        ...

    def convert(self, document: Document, version: str) -> Document:
        """The same object in the words of a served version."""
        ...


@dataclass(frozen=True, slots=True)
class Write:
    """Who writes, through which version, and which fields such a write can not set."""

    manager: Owner
    version: str
    reset: FieldSet
    time: str


def created(
    kind: Type, document: Document, write: Write, managed: Managed | None = None
) -> Managed:
    """The managers of an object that was not there before; all that it has is the writer's.

    Of ``managed``, which it brought along, that is left which is about other fields.
    """
    fields = filled(kind, document)
    if write.reset:
        fields = fieldset.recursive_difference(fields, write.reset)
    result: Managed = {}
    for who, owned in (managed or {}).items():
        if left := fieldset.difference(owned.fields, fields):
            result[who] = owned.having(left)
    fields = fieldset.difference(fields, STRIPPED)
    if fields:
        result[write.manager] = Owned(fields, write.version, write.time)
    return result


def updated(
    versions: Versions, managed: Managed, old: Document, new: Document, write: Write
) -> Managed:
    """The managers after an update, in which the writer takes all that it changed.

    An object without managers is not tracked before somebody applies it.
    """
    if not managed:
        return managed
    managed = current(versions, managed)
    compared = Compared(versions, old, new, write)
    comparison = compared.at(write.version)
    if not comparison:
        return managed
    result = left_to(compared, managed)
    changed = fieldset.difference(comparison.changed, STRIPPED)
    if changed:
        before = result.get(write.manager)
        if before is not None:
            changed = fieldset.union(changed, before.fields)
        result[write.manager] = Owned(changed, write.version, write.time)
    return result


def current(versions: Versions, managed: Managed) -> Managed:
    """Managers as the schemas are today, without those of versions that are gone."""
    if not versions.schemas_change:
        return managed
    result: Managed = {}
    for who, owned in managed.items():
        kind = versions.type(owned.version)
        if kind is not None:
            result[who] = owned.having(reconciled(kind, owned.fields))
    return managed if result == managed else result


class Compared:
    """The comparison of two states, in each version once; both are in the write's version."""

    def __init__(self, versions: Versions, old: Document, new: Document, write: Write) -> None:
        self._versions = versions
        self._old, self._new, self._write = old, new, write
        self._known: dict[str, Comparison | None] = {}

    def at(self, version: str) -> Comparison | None:
        """None when the version is not served."""
        if version not in self._known:
            self._known[version] = self._compare(version)
        return self._known[version]

    def _compare(self, version: str) -> Comparison | None:
        kind = self._versions.type(version)
        if kind is None:
            return None
        old, new = self._old, self._new
        if version != self._write.version:
            old = self._versions.convert(old, version)
            new = self._versions.convert(new, version)
        return compare(kind, old, new).without(self._write.reset)


def left_to(compared: Compared, managed: Managed) -> Managed:
    """What managers keep after somebody else's change."""
    result: Managed = {}
    for who, owned in managed.items():
        comparison = compared.at(owned.version)
        if comparison is None:
            continue
        fields = fieldset.difference(owned.fields, comparison.changed)
        fields = fieldset.difference(fields, comparison.removed)
        if fields:
            result[who] = owned if fields == owned.fields else owned.having(fields)
    return result
