"""
Namespace: empty a namespace that is being deleted, then let it go.

Reads   Namespace, and when it is terminating everything in it, of every namespaced kind
Writes  the contents (delete), Namespace conditions while something blocks, its finalizer at the end
Again   while something is left: soon after deletions, slower while finalizers or pods take time
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pilothouse.services.machinery import conditions
from pilothouse.services.machinery.conditions import Condition
from pilothouse.services.machinery.kinds import namespaces
from pilothouse.services.machinery.kinds.namespaces import Namespace
from pilothouse.services.machinery.objects import Key, Metadata
from pilothouse.services.machinery.resources import PODS, Resource
from pilothouse.services.runtime.control.loop import DONE, Result

LOOK_SECONDS = 0.1
WAIT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Item:
    """Something in the namespace."""

    resource: Resource
    metadata: Metadata


@dataclass(frozen=True, slots=True)
class Plan:
    delete: tuple[Item, ...]
    conditions: tuple[Condition, ...]
    release: bool
    again_after: float | None


def plan(namespace: Namespace, contents: Sequence[Item], now: float) -> Plan:
    """``contents``: all that is left in it. Only for one that is being deleted.

    Pods go first: what they are made of and who guards them stays until they are gone (KEP-5080).
    """
    if not contents:
        held = namespaces.FINALIZER in namespace.spec.finalizers
        return Plan((), namespace.status.conditions, release=held, again_after=None)
    pods = [item for item in contents if item.resource == PODS]
    delete = tuple(item for item in pods or contents if not item.metadata.deleting)
    told = namespace.status.conditions
    for condition in (*_conditions(contents), _failure(pods)):
        told = conditions.replaced(told, condition, now)
    again = LOOK_SECONDS if delete else WAIT_SECONDS
    return Plan(delete, told, release=False, again_after=again)


def _conditions(contents: Sequence[Item]) -> tuple[Condition, ...]:
    kinds = Counter(_plural(item.resource) for item in contents)
    finalizers = Counter(name for item in contents for name in item.metadata.finalizers)
    left = ", ".join(f"{kind} has {count} resource instances" for kind, count in _in_order(kinds))
    held = ", ".join(
        f"{name} in {count} resource instances" for name, count in _in_order(finalizers)
    )
    blocked = Condition(
        type="NamespaceFinalizersRemaining",
        status="True" if finalizers else "False",
        reason="SomeFinalizersRemain" if finalizers else "ContentHasNoFinalizers",
        message=f"Some content in the namespace has finalizers remaining: {held}"
        if finalizers
        else "No content of the namespace has finalizers",
    )
    remaining = Condition(
        type="NamespaceContentRemaining",
        status="True",
        reason="SomeResourcesRemain",
        message=f"Some resources are remaining: {left}",
    )
    return (remaining, blocked)


def _failure(pods: Sequence[Item]) -> Condition:
    """Pods that finalizers hold stand in the way of all the rest."""
    held = sum(1 for pod in pods if pod.metadata.deleting and pod.metadata.finalizers)
    return Condition(
        type="NamespaceDeletionContentFailure",
        status="True" if held else "False",
        reason="ContentDeletionFailed" if held else "ContentDeleted",
        message=f"Failed to delete all resource types: {held} pods are held by finalizers"
        if held
        else "All content successfully deleted, may be waiting on finalization",
    )


def _plural(resource: Resource) -> str:
    return f"{resource.plural}.{resource.group}"


def _in_order(counted: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counted.items())


class Cluster(Protocol):
    """What this controller asks of the API."""

    def namespace(self, key: Key) -> Namespace | None: ...
    def now(self) -> float: ...
    async def contents(self, namespace: Namespace) -> Sequence[Item]: ...
    async def delete(self, items: Sequence[Item]) -> None: ...
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
        todo = plan(namespace, contents, self._cluster.now())
        await self._cluster.delete(todo.delete)
        if todo.conditions != namespace.status.conditions and not todo.delete:
            await self._cluster.write_conditions(namespace, todo.conditions)
        if todo.release:
            await self._cluster.release(namespace)
        return Result(again_after=todo.again_after)
