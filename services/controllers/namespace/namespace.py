"""
Namespace: empty a namespace that is being deleted, then let it go.

Reads   Namespace, and when it is terminating everything in it, of every namespaced kind
Writes  the contents (delete), Namespace conditions while something blocks, its finalizer at the end
Again   while something is left: soon after deletions, slower while finalizers or pods take time
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pilothouse.services.machinery import conditions, timestamps
from pilothouse.services.machinery.conditions import Condition
from pilothouse.services.machinery.errors import ApiError
from pilothouse.services.machinery.kinds import namespaces
from pilothouse.services.machinery.kinds.namespaces import Namespace
from pilothouse.services.machinery.objects import Key, Metadata
from pilothouse.services.machinery.resources import PODS, Resource
from pilothouse.services.runtime.control.loop import DONE, Result

LOOK_SECONDS = 0.1
WAIT_SECONDS = 1.0

_WELL = {
    "NamespaceDeletionDiscoveryFailure": (
        "ResourcesDiscovered", "All resources successfully discovered",
    ),
    "NamespaceDeletionGroupVersionParsingFailure": (
        "ParsedGroupVersions", "All legacy kube types successfully parsed",
    ),
    "NamespaceDeletionContentFailure": (
        "ContentDeleted", "All content successfully deleted, may be waiting on finalization",
    ),
    "NamespaceContentRemaining": ("ContentRemoved", "All content successfully removed"),
    "NamespaceFinalizersRemaining": (
        "ContentHasNoFinalizers", "All content-preserving finalizers finished",
    ),
}  # fmt: skip
"""What is told of everything that nothing is wrong with: reason and message, by condition."""

Failures = Mapping[Resource, ApiError]
"""The kinds that could not be listed or deleted, and why."""


@dataclass(frozen=True, slots=True)
class Item:
    """Something in the namespace."""

    resource: Resource
    metadata: Metadata


@dataclass(frozen=True, slots=True)
class Contents:
    """All that is left, of the kinds that could be listed."""

    items: Sequence[Item] = ()
    failures: Failures = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    delete: tuple[Item, ...]
    release: bool
    again_after: float | None


def plan(namespace: Namespace, contents: Contents) -> Plan:
    """What to do about the contents of one that is being deleted.

    Pods go first: what they are made of and who guards them stays until they are gone (KEP-5080).
    """
    items = contents.items
    if not items:
        held = namespaces.FINALIZER in namespace.spec.finalizers
        return Plan((), release=held and not contents.failures, again_after=None)
    pods = [item for item in items if item.resource == PODS]
    first = items if not pods and PODS not in contents.failures else pods
    delete = tuple(item for item in first if not item.metadata.deleting)
    return Plan(delete, release=False, again_after=LOOK_SECONDS if delete else WAIT_SECONDS)


def told(
    namespace: Namespace, items: Sequence[Item], failures: Failures, now: float
) -> tuple[Condition, ...]:
    """The conditions, with ``items`` left and ``failures`` of listing and deleting."""
    bad = {item.type: item for item in _left(items)}
    faults = [error.message for error in failures.values()]
    faults += _stuck(namespace.metadata.name, items, now)
    if faults:
        words = ", ".join(sorted(faults))
        message = f"Failed to delete all resource types, {len(faults)} remaining: {words}"
        kind = "NamespaceDeletionContentFailure"
        bad[kind] = _bad(kind, "ContentDeletionFailed", message)
    said = namespace.status.conditions
    for type_, (reason, message) in _WELL.items():
        well = Condition(type=type_, status="False", reason=reason, message=message)
        said = conditions.replaced(said, bad.get(type_, well), now)
    return said


def _left(items: Sequence[Item]) -> list[Condition]:
    kinds = Counter(f"{item.resource.plural}.{item.resource.group}" for item in items)
    finalizers = Counter(name for item in items for name in item.metadata.finalizers)
    found = []
    if kinds:
        left = ", ".join(f"{kind} has {count} resource instances" for kind, count in _sorted(kinds))
        words = f"Some resources are remaining: {left}"
        found.append(_bad("NamespaceContentRemaining", "SomeResourcesRemain", words))
    if finalizers:
        held = ", ".join(
            f"{name} in {count} resource instances" for name, count in _sorted(finalizers)
        )
        words = f"Some content in the namespace has finalizers remaining: {held}"
        found.append(_bad("NamespaceFinalizersRemaining", "SomeFinalizersRemain", words))
    return found


def _stuck(name: str, items: Sequence[Item], now: float) -> list[str]:
    """Pods whose time is long over, and that nothing but their node holds."""
    pods = [item.metadata for item in items if item.resource == PODS]
    if not pods or any(pod.finalizers or not _is_late(pod, now) for pod in pods):
        return []
    return [f"unexpected items still remain in namespace: {name} for gvr: /v1, Resource=pods"]


def _is_late(pod: Metadata, now: float) -> bool:
    return pod.deletion_timestamp is not None and timestamps.parse(pod.deletion_timestamp) < now


def _bad(type_: str, reason: str, message: str) -> Condition:
    return Condition(type=type_, status="True", reason=reason, message=message)


def _sorted(counted: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counted.items())


def _stays(namespace: Namespace) -> bool:
    """Whether others hold it when we do not."""
    others = [name for name in namespace.spec.finalizers if name != namespaces.FINALIZER]
    return bool(others or namespace.metadata.finalizers)


class Cluster(Protocol):
    """What this controller asks of the API."""

    def namespace(self, key: Key) -> Namespace | None: ...
    def now(self) -> float: ...
    async def contents(self, namespace: Namespace) -> Contents: ...
    async def delete(self, items: Sequence[Item]) -> Failures: ...
    async def write_conditions(self, namespace: Namespace, told: Sequence[Condition]) -> None: ...
    async def release(self, namespace: Namespace) -> None:
        """Take our finalizer away."""


class NamespaceController:
    """Empties each namespace that is on its way out."""

    name = "namespace"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def reconcile(self, key: Key) -> Result:
        namespace = self._cluster.namespace(key)
        if namespace is None or not namespace.metadata.deleting:
            return DONE
        contents = await self._cluster.contents(namespace)
        todo = plan(namespace, contents)
        failures = {**contents.failures, **await self._cluster.delete(todo.delete)}
        # What goes at once is not worth telling.
        if failures or not (todo.delete or todo.release) or (todo.release and _stays(namespace)):
            said = told(namespace, contents.items, failures, self._cluster.now())
            if said != namespace.status.conditions:
                await self._cluster.write_conditions(namespace, said)
        for error in failures.values():
            raise error
        if todo.release:
            await self._cluster.release(namespace)
        return Result(again_after=todo.again_after)
