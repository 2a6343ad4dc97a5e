"""The APIServices of what this server offers, one for each group and version."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pilothouse.services.apiserver.kinds.catalog import Catalog

Document = dict[str, Any]

GROUP, VERSION, PLURAL = "apiregistration.k8s.io", "v1", "apiservices"
MANAGED = "kube-aggregator.kubernetes.io/automanaged"
PRIORITIES = {
    "": 18000, "apps": 17800, "events.k8s.io": 17750, "authentication.k8s.io": 17700,
    "authorization.k8s.io": 17600, "autoscaling": 17500, "batch": 17400,
    "certificates.k8s.io": 17300, "networking.k8s.io": 17200, "policy": 17100,
    "rbac.authorization.k8s.io": 17000, "storage.k8s.io": 16800, "apiextensions.k8s.io": 16700,
    "admissionregistration.k8s.io": 16700, "scheduling.k8s.io": 16600,
    "coordination.k8s.io": 16500, "node.k8s.io": 16300, "discovery.k8s.io": 16200,
    "flowcontrol.apiserver.k8s.io": 16100, "resource.k8s.io": 15900,
    "storagemigration.k8s.io": 15800,
}  # fmt: skip
CUSTOM_PRIORITY, CUSTOM_VERSION_PRIORITY = 1000, 100
VERSION_PRIORITY = 15
VERSION_PRIORITIES = {("", "v1"): 1, ("autoscaling", "v2"): 30}
_LOCAL = {
    "type": "Available",
    "status": "True",
    "reason": "Local",
    "message": "Local APIServices are always available",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """Documents to create and names to delete; documents whose status is to be written."""

    create: Sequence[Document] = ()
    delete: Sequence[str] = ()
    status: Sequence[Document] = ()


def offered(catalog: Catalog) -> Iterable[tuple[str, str, bool]]:
    """Group, version and whether the server has it from the beginning; but for its own group."""
    for group, versions in catalog.groups().items():
        if group != GROUP:
            for version in versions:
                yield group, version, catalog.builtin(group)


def plan(
    wanted: Iterable[tuple[str, str, bool]], present: Mapping[str, Document], stamp: str
) -> Plan:
    """What is missing, what is ours and no longer offered; ``stamp`` is the time now."""
    documents = {document["metadata"]["name"]: document for document in map(_document, wanted)}
    return Plan(
        [document for name, document in documents.items() if name not in present],
        [name for name, found in present.items() if name not in documents and _is_ours(found)],
        [
            {**found, "status": {"conditions": [{**_LOCAL, "lastTransitionTime": stamp}]}}
            for found in present.values()
            if not found["spec"].get("service") and not _is_judged(found)
        ],
    )


def _is_ours(found: Document) -> bool:
    return MANAGED in (found["metadata"].get("labels") or {})


def _is_judged(found: Document) -> bool:
    return bool((found.get("status") or {}).get("conditions"))


def _document(one: tuple[str, str, bool]) -> Document:
    group, version, builtin = one
    priority = PRIORITIES.get(group, CUSTOM_PRIORITY)
    of_version = VERSION_PRIORITIES.get((group, version), VERSION_PRIORITY)
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "APIService",
        "metadata": {
            "name": f"{version}.{group}",
            "labels": {MANAGED: "onstart" if builtin else "true"},
        },
        "spec": {
            **({"group": group} if group else {}),
            "version": version,
            "groupPriorityMinimum": priority,
            "versionPriority": of_version if builtin else CUSTOM_VERSION_PRIORITY,
        },
    }
