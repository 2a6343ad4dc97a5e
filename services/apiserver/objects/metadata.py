"""``metadata``: what the server writes into it, and its rules."""

from collections.abc import Mapping
from typing import Any

from pilothouse.services.apiserver.kinds.kind import Kind
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import BadRequest, Cause

Document = dict[str, Any]

FREE = ("labels", "annotations", "ownerReferences", "finalizers")
"""What clients may set; all else is the server's."""

GENERATED_BASE_MAX = 58


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


def check(metadata: Document, rule: names.Rule) -> list[Cause]:
    """What is wrong with an object's metadata."""
    name = metadata["name"]
    causes: list[Cause] = []
    wrong = rule(name) or names.path_segment(name)
    if wrong:
        causes.append(names.invalid("metadata.name", name, wrong))
    labels = metadata.get("labels")
    if labels:
        causes += names.check_labels(labels, "metadata.labels")
    annotations = metadata.get("annotations")
    if annotations:
        causes += names.check_annotations(annotations, "metadata.annotations")
    for finalizer in metadata.get("finalizers") or ():
        if bad := names.qualified(finalizer):
            causes.append(names.invalid("metadata.finalizers", finalizer, bad))
    return causes + _check_owners(metadata.get("ownerReferences") or ())


def _check_owners(owners: Any) -> list[Cause]:
    causes = []
    field = "metadata.ownerReferences"
    for owner in owners:
        version = owner.get("apiVersion", "").rpartition("/")[2]
        if not version:
            shown = owner.get("apiVersion", "")
            detail = "version must not be empty"
            causes.append(names.invalid(f"{field}.apiVersion", shown, detail))
        causes += [
            names.invalid(f"{field}.{member}", "", "must not be empty")
            for member in ("kind", "name", "uid")
            if not owner.get(member)
        ]
        if (owner.get("apiVersion"), owner.get("kind")) == ("v1", "Event"):
            detail = "/v1, Kind=Event is disallowed from being an owner"
            causes.append(names.invalid(field, owner, detail))
    controllers = [owner.get("name", "") for owner in owners if owner.get("controller")]
    if len(controllers) > 1:
        detail = 'Only one reference can have Controller set to true. Found "true" in references '
        detail += f"for {controllers[0]} and {controllers[1]}"
        causes.append(names.invalid(field, list(owners), detail))
    return causes


def check_update(new: Document, old: Document) -> list[Cause]:
    """What must not change: no finalizer comes once the object is being deleted."""
    if "deletionTimestamp" not in old:
        return []
    before = old.get("finalizers") or ()
    return [
        names.forbidden(
            "metadata.finalizers",
            f"no new finalizers can be added if the object is being deleted, found new "
            f'finalizers []string{{"{finalizer}"}}',
        )
        for finalizer in new.get("finalizers") or ()
        if finalizer not in before
    ]
