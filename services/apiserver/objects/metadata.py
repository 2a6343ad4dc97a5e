"""``metadata``: what the server writes into it, and its rules."""

import json
from collections.abc import Mapping
from typing import Any

from pilothouse.services.apiserver.kinds.kind import Kind
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import BadRequest, Cause

Document = dict[str, Any]

FREE = ("labels", "annotations", "ownerReferences", "finalizers")
"""What clients may set; all else is the server's."""

GENERATED_BASE_MAX = 58
ORPHAN = "orphan"
FOREGROUND = "foregroundDeletion"
STANDARD = frozenset({ORPHAN, FOREGROUND, "kubernetes"})
"""Finalizers that belong to no domain."""
_UNQUALIFIED = "name is neither a standard finalizer name nor is it fully qualified"
IMMUTABLE = "field is immutable"


def place(kind: Kind, namespace: str, name: str, document: Document) -> None:
    """Bring namespace and name of a document in line with the path.

    Raises:
        BadRequest: when they say different things.
    """
    metadata = document.setdefault("metadata", {})
    given = metadata.get("namespace", "")
    if not kind.namespaced:
        metadata.pop("namespace", None)
    elif given and given != namespace:
        raise BadRequest(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    elif not namespace:
        raise BadRequest("an empty namespace may not be set during creation")
    else:
        metadata["namespace"] = namespace
    if not name:
        return
    if not metadata.get("name"):
        metadata["name"] = name
    if metadata["name"] != name:
        raise BadRequest(
            f"the name of the object ({metadata['name']}) does not match the name on the URL "
            f"({name})"
        )


def place_changed(kind: Kind, namespace: str, name: str, document: Document) -> None:
    """The same of a document that must itself say whose new state it is."""
    if not (document.get("metadata") or {}).get("name"):
        raise BadRequest(
            f"the name of the object ({name} based on URL) was undeterminable: "
            "name must be provided"
        )
    place(kind, namespace, name, document)


def check_given(given: Mapping[str, Any], old: Mapping[str, Any]) -> list[Cause]:
    """What no update may say: that an object goes is for a delete to say."""
    if "deletionTimestamp" in old:
        return []
    return [
        names.invalid(f"metadata.{field}", given[field], IMMUTABLE)
        for field in ("deletionTimestamp", "deletionGracePeriodSeconds")
        if given.get(field) is not None
    ]


def born(metadata: Mapping[str, Any], name: str, uid: str, timestamp: str) -> Document:
    """The metadata of a new object."""
    new: Document = {"name": name}
    for field in ("generateName", "namespace"):
        if metadata.get(field):
            new[field] = metadata[field]
    new["uid"] = uid
    new["creationTimestamp"] = timestamp
    _copy_free(metadata, new)
    return new


def changed(new: Mapping[str, Any], old: Mapping[str, Any]) -> Document:
    """The metadata after an update: the server's fields as they were, the client's as given."""
    result = {
        field: value
        for field, value in old.items()
        if field not in FREE and field != "resourceVersion"
    }
    _copy_free(new, result)
    return result


def _copy_free(source: Mapping[str, Any], target: Document) -> None:
    for field in FREE:
        value = source.get(field)
        if value:
            target[field] = value
    owners = target.get("ownerReferences")
    if owners and len(owners) > 1:
        target["ownerReferences"] = _once(owners)


def _once(owners: list[Document]) -> list[Document]:
    """Each owner once, at its first place."""
    found: dict[str, Document] = {}
    for owner in owners:
        found.setdefault(json.dumps(owner, sort_keys=True), owner)
    return list(found.values())


def check(metadata: Document, rule: names.Rule, *, free: bool = False) -> list[Cause]:
    """What is wrong with an object's metadata; ``free`` lets finalizers be of no domain."""
    name = metadata["name"]
    causes: list[Cause] = []
    if generated := metadata.get("generateName"):
        causes += _check_generated(generated, rule)
    wrong = rule(name) or names.path_segment(name)
    if wrong:
        causes.append(names.invalid("metadata.name", name, wrong))
    labels = metadata.get("labels")
    if labels:
        causes += names.check_labels(labels, "metadata.labels")
    annotations = metadata.get("annotations")
    if annotations:
        causes += names.check_annotations(annotations, "metadata.annotations")
    if finalizers := metadata.get("finalizers"):
        causes += _check_finalizers(finalizers, free=free)
    return causes + _check_owners(metadata.get("ownerReferences") or ())


def _check_generated(generated: str, rule: names.Rule) -> list[Cause]:
    """A name may begin with it: what ends it but for a dash may stand within one."""
    begun = f"{generated[:-2]}a" if len(generated) > 1 and generated.endswith("-") else generated
    return names.check(rule, begun, "metadata.generateName")


def _check_finalizers(finalizers: Any, *, free: bool) -> list[Cause]:
    field = "metadata.finalizers"
    causes = []
    for index, finalizer in enumerate(finalizers):
        if bad := names.qualified(finalizer):
            causes.append(names.invalid(field, finalizer, bad))
        elif not free and "/" not in finalizer and finalizer not in STANDARD:
            causes.append(names.invalid(f"{field}[{index}]", finalizer, _UNQUALIFIED))
    if ORPHAN in finalizers and FOREGROUND in finalizers:
        detail = f"finalizer {ORPHAN} and {FOREGROUND} cannot be both set"
        causes.append(names.invalid(field, list(finalizers), detail))
    return causes


def _check_owners(owners: Any) -> list[Cause]:
    field = "metadata.ownerReferences"
    causes: list[Cause] = []
    first = ""
    for index, owner in enumerate(owners):
        causes += _check_owner(owner, f"{field}[{index}]")
        if owner.get("controller"):
            shown = f"{owner.get('kind', '')}/{owner.get('name', '')}"
            if first:
                detail = "Only one reference can have Controller set to true. "
                detail += f'Found "true" in references for {first} and {shown}'
                causes.append(names.invalid(field, list(owners), detail))
            first = first or shown
    return causes


def _check_owner(owner: Document, field: str) -> list[Cause]:
    version = owner.get("apiVersion") or ""
    causes = []
    if version and (version.count("/") > 1 or version.endswith("/")):
        detail = "must be <group>/<version> or <version>"
        causes.append(names.invalid(f"{field}.apiVersion", version, detail))
    causes += [
        names.required(f"{field}.{member}", "must not be empty")
        for member in ("apiVersion", "kind", "name", "uid")
        if not owner.get(member)
    ]
    if (version, owner.get("kind")) == ("v1", "Event"):
        detail = "/v1, Kind=Event is disallowed from being an owner"
        causes.append(names.invalid(field, owner, detail))
    return causes


def warn(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[str]:
    """What is told of the names of a custom object's new finalizers."""
    added = {*(new.get("finalizers") or ())} - {*(old.get("finalizers") or ())}
    return [
        f'metadata.finalizers: "{finalizer}": prefer a domain-qualified finalizer name '
        f"{'including a path (/) ' if '.' in finalizer else ''}to avoid accidental conflicts with "
        "other finalizer writers"
        for finalizer in sorted(added)
        if "/" not in finalizer and finalizer not in STANDARD
    ]


def check_update(new: Document, old: Document) -> list[Cause]:
    """What must not change: no finalizer comes once the object is being deleted."""
    if "deletionTimestamp" not in old:
        return []
    extra = sorted({*(new.get("finalizers") or ())} - {*(old.get("finalizers") or ())})
    if not extra:
        return []
    listed = ", ".join(f'"{finalizer}"' for finalizer in extra)
    detail = "no new finalizers can be added if the object is being deleted, found new finalizers "
    return [names.forbidden("metadata.finalizers", f"{detail}[]string{{{listed}}}")]
