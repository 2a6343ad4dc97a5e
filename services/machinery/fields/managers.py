"""``metadata.managedFields``: who owns what, as entries on the wire and as values."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import msgspec

from pilothouse.services.machinery.fields import fieldset
from pilothouse.services.machinery.fields.fieldset import FieldSet
from pilothouse.services.machinery.fields.paths import Malformed

APPLY = "Apply"
UPDATE = "Update"
FIELDS_V1 = "FieldsV1"
UPDATERS_MAX = 10
ANCIENT = "ancient-changes"
BEFORE_FIRST_APPLY = "before-first-apply"
UNKNOWN = "unknown"

_encode = msgspec.json.Encoder(order="sorted").encode


@dataclass(frozen=True, slots=True, order=True)
class Owner:
    """One entry's identity. ``version`` is empty for Apply: whoever applies is one in all."""

    name: str
    operation: str
    version: str = ""
    subresource: str = ""

    @property
    def applies(self) -> bool:
        return self.operation == APPLY

    def told(self) -> str:
        """As messages name it: ``"kubectl-edit" using apps/v1``."""
        text = f'"{self.name}"'
        if self.subresource:
            text += f' with subresource "{self.subresource}"'
        return text if self.applies else f"{text} using {self.version}"


@dataclass(frozen=True, slots=True)
class Owned:
    """What a manager owns, in the words of one API version; since when (RFC 3339, or empty).

    ``encoded`` is the entry that it was read from, as long as nothing of it changed.
    """

    fields: FieldSet
    version: str
    time: str = ""
    encoded: Mapping[str, Any] | None = None

    def having(self, fields: FieldSet) -> "Owned":
        """The same with other fields."""
        return self if fields is self.fields else Owned(fields, self.version, self.time)


Managed: TypeAlias = dict[Owner, Owned]


def manager(name: str, operation: str, version: str, subresource: str) -> Owner:
    """The identity under which a request of this sort writes."""
    return Owner(name or UNKNOWN, operation, "" if operation == APPLY else version, subresource)


def stored(entries: Iterable[Mapping[str, Any]]) -> Managed:
    """The managers of an object of ours; its entries are well-formed."""
    result: Managed = {}
    for entry in entries:
        operation, version = entry["operation"], entry["apiVersion"]
        named = Owner(
            entry.get("manager", ""),
            operation,
            "" if operation == APPLY else version,
            entry.get("subresource", ""),
        )
        result[named] = Owned(entry.get("fieldsV1") or {}, version, entry.get("time", ""), entry)
    return result


def given(entries: Any) -> Managed:
    """The managers that a client sent.

    Raises:
        Malformed: an entry breaks a rule; the message is upstream's.
    """
    result: Managed = {}
    for index, entry in enumerate(entries):
        operation = entry.get("operation", "")
        if operation not in {APPLY, UPDATE}:
            raise Malformed("operation must be `Apply` or `Update`")
        version = entry.get("apiVersion", "")
        if not version:
            raise Malformed("apiVersion must not be empty")
        sort = entry.get("fieldsType", "")
        if sort != FIELDS_V1:
            raise Malformed(
                f'invalid fieldsType "{sort}" in managed fields entry {index}'
                if sort
                else f"missing fieldsType in managed fields entry {index}"
            )
        fields = fieldset.from_json(entry.get("fieldsV1") or {})
        named = Owner(
            entry.get("manager", ""),
            operation,
            "" if operation == APPLY else version,
            entry.get("subresource", ""),
        )
        result[named] = Owned(fields, version, entry.get("time") or "")
    return result


def resets(entries: Any) -> bool:
    """Whether a client asks to forget all managers: no entry, or one that says nothing."""
    return isinstance(entries, list) and (not entries or entries == [{}])


def encoded(managed: Managed) -> list[Mapping[str, Any]]:
    """The entries of all managers, in their order; sets are encoded once, here."""
    entries = [owned.encoded or _entry(named, owned) for named, owned in managed.items()]
    if len(entries) > 1:
        entries.sort(key=_order)
    return entries


def _entry(named: Owner, owned: Owned) -> dict[str, Any]:
    entry: dict[str, Any] = {}
    if named.name:
        entry["manager"] = named.name
    entry["operation"] = named.operation
    entry["apiVersion"] = owned.version
    if owned.time:
        entry["time"] = owned.time
    entry["fieldsType"] = FIELDS_V1
    entry["fieldsV1"] = msgspec.Raw(_encode(owned.fields))
    if named.subresource:
        entry["subresource"] = named.subresource
    return entry


def _order(entry: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        entry["operation"],
        entry.get("time", ""),
        entry.get("manager", ""),
        entry["apiVersion"],
        entry.get("subresource", ""),
    )


def same_but_times(one: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]]) -> bool:
    """Whether two lists of entries differ in nothing but times."""
    return len(one) == len(other) and all(
        a is b or _timeless(a) == _timeless(b) for a, b in zip(one, other, strict=True)
    )


def _timeless(entry: Mapping[str, Any]) -> dict[str, Any]:
    result = {name: value for name, value in entry.items() if name != "time"}
    fields = result.get("fieldsV1")
    if isinstance(fields, msgspec.Raw):
        result["fieldsV1"] = msgspec.json.decode(fields)
    return result


def capped(managed: Managed) -> Managed:
    """The oldest updates folded into one entry a version, so that at most ten are left."""
    updaters = [named for named in managed if not named.applies]
    excess = len(updaters) - UPDATERS_MAX
    if excess <= 0:
        return managed
    updaters.sort(key=lambda named: (managed[named].time, named))
    result = dict(managed)
    first: dict[str, Owner] = {}
    for named in updaters:
        if excess <= 0:
            break
        owned = result[named]
        if owned.version not in first:
            first[owned.version] = named
            continue
        bucket = Owner(ANCIENT, UPDATE, owned.version)
        if bucket not in result:
            result[bucket] = result.pop(first[owned.version])
        union = fieldset.union(owned.fields, result[bucket].fields)
        if bucket != named:
            del result[named]
        result[bucket] = replace(owned, fields=union, encoded=None)
        excess -= 1
    return result
