"""Keeps an APIService for each group and version that this server offers, as clients expect.

Nothing is polled: a change of a definition or of an APIService wakes it.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from pilothouse.services.apiserver.bootstrap import SERVER
from pilothouse.services.apiserver.kinds.catalog import Catalog
from pilothouse.services.apiserver.registry import Registry
from pilothouse.services.apiserver.requests import DeleteOptions, Stored, Target, WriteOptions
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.errors import AlreadyExists, ApiError, Conflict, NotFound
from pilothouse.services.runtime import telemetry

Document = dict[str, Any]

GROUP, VERSION, PLURAL = "apiregistration.k8s.io", "v1", "apiservices"
DEFINITIONS = ("apiextensions.k8s.io", "customresourcedefinitions")
MANAGED = "kube-aggregator.kubernetes.io/automanaged"
# What lost a race, or met a store that did not answer, is tried anew after this.
RETRY_SECONDS = 1.0
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
            if not found["spec"].get("service")
            and not (found.get("status") or {}).get("conditions")
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


class Offered:
    """One loop over one plan."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._parts = registry.parts
        self._changed = asyncio.Event()
        self._log = telemetry.logger(part="offered")
        for group, plural in (
            (GROUP, PLURAL),
            ("apiextensions.k8s.io", "customresourcedefinitions"),
        ):
            kind = self._parts.catalog.lookup(group, "v1", plural)
            self._parts.cache.of(kind).subscribe(self._note)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._changed.clear()
            try:
                await self._bring_up()
            except (AlreadyExists, Conflict, NotFound):
                # Another server was faster: its change wakes this loop again, or has done so.
                continue
            except ApiError as error:
                self._log.warning("not kept up", error=error.message)
                await self._parts.clock.sleep(RETRY_SECONDS)
                continue
            await self._changed.wait()

    async def _bring_up(self) -> None:
        found = [
            msgspec.json.decode(each.json) for each in self._parts.cache.objects(GROUP, PLURAL)
        ]
        present: dict[str, Document] = {each["metadata"]["name"]: each for each in found}
        stamp = timestamps.render(self._parts.clock.now())
        todo = plan(offered(self._parts.catalog), present, stamp)
        target = Target(GROUP, VERSION, PLURAL)
        for document in todo.create:
            await self._registry.create(SERVER, target, document, _OPTIONS)
        for name in todo.delete:
            await self._registry.delete(
                SERVER, Target(GROUP, VERSION, PLURAL, "", name), DeleteOptions()
            )
        for document in todo.status:
            named = Target(GROUP, VERSION, PLURAL, "", document["metadata"]["name"], "status")
            await self._registry.update(SERVER, named, document, _OPTIONS)

    def _note(self, _old: Stored | None, _new: Stored | None) -> None:
        self._changed.set()


_OPTIONS = WriteOptions(field_manager="kube-apiserver")
