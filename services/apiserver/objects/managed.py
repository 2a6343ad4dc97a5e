"""``metadata.managedFields`` of what is written: who owns what from now on.

Looked at once a write, at the document as it will be stored. What clients send as managedFields
counts where it differs from what is stored: no entry forgets all, malformed ones are passed over.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from typing_extensions import override

from pilothouse.services.apiserver.kinds.kind import Kind
from pilothouse.services.apiserver.objects import conversion
from pilothouse.services.apiserver.objects.owned import fixed_metadata
from pilothouse.services.apiserver.objects.parts import Parts
from pilothouse.services.apiserver.objects.served import Served
from pilothouse.services.apiserver.requests import WriteOptions
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.errors import NotFound
from pilothouse.services.machinery.fields import fieldset, managers, ownership
from pilothouse.services.machinery.fields.fieldset import FieldSet
from pilothouse.services.machinery.fields.managers import Managed
from pilothouse.services.machinery.fields.ownership import Versions, Write
from pilothouse.services.machinery.fields.paths import Malformed
from pilothouse.services.machinery.fields.types import Type

Document = dict[str, Any]
Entries: TypeAlias = Sequence[Mapping[str, Any]]
Owners: TypeAlias = Callable[[Document, Document, Document], Entries]
"""Takes what is stored, what is asked for and what will be stored; gives its managedFields."""

MEMBER = "managedFields"
_CLAIMED = ("generateName", "labels", "annotations", "ownerReferences", "finalizers")
_STATUS = fieldset.of_paths(("status",))


@dataclass(frozen=True, slots=True)
class Writer:
    """In whose name a request writes, and through which subresource."""

    name: str
    subresource: str = ""


def writer(options: WriteOptions, subresource: str = "") -> Writer:
    """The manager that a request names, else the name of its program."""
    return Writer(options.field_manager or options.agent, subresource)


class ServedVersions(Versions):
    """The versions of one kind that the server knows now."""

    def __init__(self, parts: Parts, kind: Kind) -> None:
        self._parts = parts
        self._kind = kind

    @property
    @override
    def schemas_change(self) -> bool:
        return self._kind.custom is not None

    @override
    def type(self, version: str) -> Type | None:
        kind = self._find(version)
        return None if kind is None else self._parts.types.of_kind(kind.definition)

    @override
    def convert(self, document: Document, version: str) -> Document:
        at, to = self._find(document["apiVersion"]), self._find(version)
        if at is None or to is None or at is to:
            return document
        rests = self._parts.catalog.stored(at)
        if at is not rests:
            document = conversion.to_stored(at, rests, document)
        return document if to is rests else conversion.to_served(to, document)

    def _find(self, version: str) -> Kind | None:
        if version == self._kind.api_version:
            return self._kind
        group, _, name = version.rpartition("/")
        try:
            return self._parts.catalog.lookup(group, name, self._kind.plural)
        except NotFound:
            return None


class Tracking:
    """Keeps the managers of objects that are created and updated."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def write(self, served: Served, who: Writer, operation: str = managers.UPDATE) -> Write:
        """The write of a request, now."""
        kind = served.kind
        reset = reset_fields(served, who.subresource)
        if who.subresource == "status" and kind.custom is not None:
            fields = self._parts.types.of_kind(kind.definition).fields
            reset = fieldset.of_paths(*((name,) for name in fields if name != "status"))
        return Write(
            managers.manager(who.name, operation, kind.api_version, who.subresource),
            kind.api_version,
            reset,
            timestamps.render(self._parts.clock.now()),
        )

    def born(self, served: Served, document: Document, sent: Any, who: Writer) -> Entries:
        """The entries of a new object; ``sent`` is what the client had in their place."""
        managed = _sent(sent, {}) if sent else {}
        if served.kind is not served.rests:
            document = conversion.to_served(served.kind, document)
        kind = self._parts.types.of_kind(served.kind.definition)
        result = ownership.created(kind, claimed(document), self.write(served, who), managed)
        return managers.encoded(result)

    def updates(self, served: Served, who: Writer) -> Owners:
        """The entries after an update by ``who``."""

        def owners(old: Document, new: Document, document: Document) -> Entries:
            return self._changed(served, who, old, new, document)

        return owners

    def _changed(
        self, served: Served, who: Writer, old: Document, new: Document, document: Document
    ) -> Entries:
        before = old["metadata"].get(MEMBER, ())
        sent = None if who.subresource else (new.get("metadata") or {}).get(MEMBER)
        managed = _managed(sent, before)
        if not managed:
            return ()
        kind = served.kind
        if kind is not served.rests:
            old = conversion.to_served(kind, old)
            document = conversion.to_served(kind, document)
        write = self.write(served, who)
        versions = ServedVersions(self._parts, kind)
        after = ownership.updated(versions, managed, claimed(old), claimed(document), write)
        if after is managed and sent is None:
            return before  # type: ignore[no-any-return]  # a list out of the stored object
        return managers.encoded(managers.capped(after))


def claimed(document: Document) -> Document:
    """An object without the metadata that nobody can own."""
    metadata = document["metadata"]
    return {
        **document,
        "metadata": {name: metadata[name] for name in _CLAIMED if name in metadata},
    }


def _managed(sent: Any, before: Entries) -> Managed:
    if sent is None or sent == before:
        return managers.stored(before)
    if managers.resets(sent):
        return {}
    return _sent(sent, managers.stored(before))


def _sent(entries: Any, otherwise: Managed) -> Managed:
    try:
        return managers.given(entries) or otherwise
    except Malformed:
        return otherwise


def reset_fields(served: Served, subresource: str) -> FieldSet:
    """What a write through the object itself, or its ``subresource``, leaves as it is."""
    if not subresource:
        return _STATUS if served.ways.has_status else {}
    if subresource in {"status", "approval"}:
        return _beside(fixed_metadata(served.rests, subresource))
    return {}


@functools.cache
def _beside(fixed: tuple[str, ...]) -> FieldSet:
    """The spec, and these members of the metadata."""
    return fieldset.of_paths(("spec",), *(("metadata", field) for field in fixed))


def settle_times(document: Document, old: Document) -> bool:
    """Whether ``document`` says nothing new; times of entries that tell nothing are taken back."""
    before, after = old["metadata"], document["metadata"]
    entries, kept = after.get(MEMBER, ()), before.get(MEMBER, ())
    same = _without(before, MEMBER, "resourceVersion") == _without(after, MEMBER)
    if not same or any(old.get(name) != document[name] for name in document if name != "metadata"):
        return False
    if len(old) != len(document):
        return False
    if entries == kept:
        return True
    if not kept or not managers.same_but_times(entries, kept):
        return False
    after[MEMBER] = kept
    return True


def _without(metadata: Document, *names: str) -> Document:
    return {name: value for name, value in metadata.items() if name not in names}


def put(document: Document, entries: Entries) -> None:
    """Give a document its entries; a copy of its metadata is the caller's affair."""
    if entries:
        document["metadata"][MEMBER] = entries
    else:
        document["metadata"].pop(MEMBER, None)
