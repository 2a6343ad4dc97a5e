"""The rules of CustomResourceDefinitions themselves, in the real server's words. Pure."""

from collections.abc import Sequence
from typing import Any

from pilothouse.services.apiserver.crds import approval, parts
from pilothouse.services.apiserver.crds.openapi import Leniency, check_schema
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause

Document = dict[str, Any]

_GROUP_LABELS_MIN = 2


def check(body: Document) -> list[Cause]:
    """What is wrong with a new definition."""
    spec = body["spec"]
    causes = []
    if body["metadata"]["name"] != f"{spec['names'].get('plural', '')}.{spec['group']}":
        detail = 'must be spec.names.plural+"."+spec.group'
        causes.append(names.invalid("metadata.name", body["metadata"]["name"], detail))
    causes += _check_spec(spec, Leniency())
    causes += check_status(body, {})
    causes += _check_stored(body)
    causes += _check_approval(body, None)
    return causes + _check_preserving(spec, {})


def check_update(body: Document, old: Document) -> list[Cause]:
    """What is wrong with a changed one; what was let pass before is let pass again."""
    spec, before = body["spec"], old["spec"]
    if spec == before and body["metadata"].get("annotations") == old["metadata"].get("annotations"):
        return _check_stored(body)
    causes = _check_spec(spec, Leniency.of(before))
    if _is_established(old):
        causes += _immutable("spec.scope", spec.get("scope"), before.get("scope"))
        causes += _immutable("spec.names.kind", spec["names"]["kind"], before["names"]["kind"])
    causes += _immutable("spec.group", spec["group"], before["group"])
    causes += _immutable("spec.names.plural", spec["names"]["plural"], before["names"]["plural"])
    causes += check_status(body, old)
    causes += _check_stored(body)
    causes += _check_approval(body, old)
    return causes + _check_preserving(spec, before)


def check_status(body: Document, old: Document) -> list[Cause]:
    """What is wrong with a written status."""
    del old
    accepted = (body.get("status") or {}).get("acceptedNames") or {}
    return parts.check_names(accepted, "status.acceptedNames")


def _immutable(field: str, new: Any, old: Any) -> list[Cause]:
    return [] if new == old else [names.invalid(field, new, "field is immutable")]


def _is_established(body: Document) -> bool:
    conditions = (body.get("status") or {}).get("conditions") or ()
    return any(item["type"] == "Established" and item["status"] == "True" for item in conditions)


def _check_spec(spec: Document, lenient: Leniency) -> list[Cause]:
    causes = _check_group(spec.get("group", ""))
    scope = spec.get("scope") or ""
    if not scope:
        causes.append(names.required("spec.scope"))
    elif scope not in ("Cluster", "Namespaced"):
        causes.append(names.unsupported("spec.scope", scope, ("Cluster", "Namespaced")))
    versions = spec.get("versions") or ()
    for index, version in enumerate(versions):
        where = f"spec.versions[{index}]"
        causes += _check_version(version, where, lenient)
    causes += _check_versions(versions)
    for field in ("plural", "singular", "kind", "listKind"):
        if not spec["names"].get(field):
            causes.append(names.required(f"spec.names.{field}"))
    causes += parts.check_names(spec["names"], "spec.names")
    return causes + parts.check_conversion(spec.get("conversion"), "spec.conversion")


def _check_group(group: str) -> list[Cause]:
    if not group:
        return [names.required("spec.group")]
    if wrong := names.subdomain(group):
        return [names.invalid("spec.group", group, wrong)]
    if len(group.split(".")) < _GROUP_LABELS_MIN:
        return [names.invalid("spec.group", group, "should be a domain with at least one dot")]
    return []


def _check_versions(versions: Sequence[Document]) -> list[Cause]:
    causes = []
    found = [version.get("name", "") for version in versions]
    if len(set(found)) != len(found):
        causes.append(names.invalid("spec.versions", versions, "must contain unique version names"))
    if sum(bool(version.get("storage")) for version in versions) != 1:
        detail = "must have exactly one version marked as storage version"
        causes.append(names.invalid("spec.versions", versions, detail))
    return causes


def _check_version(version: Document, where: str, lenient: Leniency) -> list[Cause]:
    causes = names.check(names.label_1035, version.get("name", ""), f"{where}.name")
    causes += parts.check_deprecation(version, f"{where}.deprecationWarning")
    schema = (version.get("schema") or {}).get("openAPIV3Schema")
    subresources = version.get("subresources") or {}
    if schema is None:
        if not lenient.schemaless:
            causes.append(names.required(f"{where}.schema.openAPIV3Schema"))
    else:
        has_status = subresources.get("status") is not None
        told = lenient.of_version(version["name"], schema)
        path = f"{where}.schema.openAPIV3Schema"
        causes += check_schema(schema, path, told, has_status=has_status)
    causes += parts.check_scale(subresources.get("scale"), f"{where}.subresources.scale")
    for index, column in enumerate(version.get("additionalPrinterColumns") or ()):
        causes += parts.check_column(column, f"{where}.additionalPrinterColumns[{index}]")
    fields = version.get("selectableFields") or ()
    return causes + parts.check_selectable(fields, schema, f"{where}.selectableFields")


def _check_stored(body: Document) -> list[Cause]:
    stored = (body.get("status") or {}).get("storedVersions") or []
    field = "status.storedVersions"
    if not stored:
        return [names.invalid(field, stored, "must have at least one stored version")]
    versions = body["spec"].get("versions") or ()
    causes = [
        names.invalid(field, stored, f"must have the storage version {version['name']}")
        for version in versions
        if version.get("storage") and version["name"] not in stored
    ]
    there = {version["name"] for version in versions}
    for index, name in enumerate(stored):
        if name not in there:
            detail = (
                f"missing from spec.versions; {name} was previously a storage version, and must "
                "remain in spec.versions until a storage migration ensures no data remains "
                f"persisted in {name} and removes {name} from status.storedVersions"
            )
            causes.append(names.invalid(f"{field}[{index}]", name, detail))
    return causes


def _check_approval(body: Document, old: Document | None) -> list[Cause]:
    if not approval.is_protected(body["spec"].get("group", "")):
        return []
    annotations = body["metadata"].get("annotations") or {}
    state, why = approval.state(annotations)
    if old is not None:
        before, _ = approval.state(old["metadata"].get("annotations") or {})
        if before == state:
            return []
    field = f"metadata.annotations[{approval.ANNOTATION}]"
    match state:
        case "missing":
            return [names.required(field, why)]
        case "invalid":
            return [names.invalid(field, annotations[approval.ANNOTATION], why)]
    return []


def _check_preserving(spec: Document, before: Document) -> list[Cause]:
    if not spec.get("preserveUnknownFields") or before.get("preserveUnknownFields"):
        return []
    detail = (
        "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in "
        "spec.versions[*].schema instead"
    )
    return [names.invalid("spec.preserveUnknownFields", True, detail)]
