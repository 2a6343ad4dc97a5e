"""
ResourceQuota: its status says what it bounds, and how much of that is in use.

Reads   ResourceQuota, and every kind that a quota counts, as the API has it at the moment
Writes  ResourceQuota (status)
Again   every few minutes: a charge for an object that never came to be is forgotten then; soon
        where less was found than is charged
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pilothouse.services.machinery import quantity
from pilothouse.services.machinery.kinds import quotas
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import DONE, Result

RESYNC_SECONDS = 300.0
CHARGED_SECONDS = 0.2
"""What is charged is stored by then, or never: less is told only when it was found twice."""

Document = Mapping[str, Any]
Found = Mapping[tuple[str, str], Sequence[Document]]
"""The objects of a namespace by group and plural."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The status to write; None when it is as it should be."""

    status: dict[str, dict[str, str]] | None


def counted(quota: Document) -> frozenset[tuple[str, str]]:
    """Group and plural of every kind that a quota bounds."""
    found: set[tuple[str, str]] = set()
    for name in (quota.get("spec") or {}).get("hard") or ():
        if name.startswith(quotas.COUNT):
            plural, _, group = name.removeprefix(quotas.COUNT).partition(".")
            found.add((group, plural))
        else:
            found.add(quotas.counted_kind(name))
    return frozenset(found)


def plan(quota: Document, found: Found, now: float | None = None) -> Plan:
    """Count everything that falls under the quota's scopes, as it is at ``now`` (seconds)."""
    hard = (quota.get("spec") or {}).get("hard") or {}
    used = quotas.total(
        hard,
        [
            quotas.usage(group, plural, document, now)
            for (group, plural), documents in found.items()
            for document in documents
            if quotas.applies(quota, group, plural, document)
        ],
    )
    status = {"hard": dict(hard), "used": used}
    present = quota.get("status") or {}
    same = present.get("hard") == hard and present.get("used") == used
    return Plan(None if same else status)


def lowers(quota: Document, status: Mapping[str, Mapping[str, str]]) -> bool:
    """Whether less would be in use than the status of ``quota`` says."""
    before = (quota.get("status") or {}).get("used") or {}
    return any(
        quantity.parse(used) < quantity.parse(before[name])
        for name, used in status["used"].items()
        if name in before
    )


@dataclass(frozen=True, slots=True)
class Count:
    """What was found for a revision of the quota, and when (monotonic seconds)."""

    revision: str
    status: Mapping[str, Mapping[str, str]]
    at: float


class Cluster(Protocol):
    """What this controller asks of the API; keys are of quotas."""

    def now(self) -> float:
        """Monotonic seconds."""

    def time(self) -> float:
        """Seconds since the epoch."""

    async def quota(self, key: Key) -> Document | None: ...
    async def contents(self, namespace: str, group: str, plural: str) -> Sequence[Document]:
        """Every object of the kind in the namespace, none when the kind is not served."""

    async def write(self, quota: Document, status: Document) -> None:
        """Over the state that ``quota`` shows; Conflict when that has changed."""


class ResourceQuotaController:
    """Keeps the status of quotas true."""

    name = "resourcequota"

    def __init__(self, cluster: Cluster, resync_seconds: float = RESYNC_SECONDS) -> None:
        self._cluster = cluster
        self._resync_seconds = resync_seconds
        self._counts: dict[Key, Count] = {}

    async def reconcile(self, key: Key) -> Result:
        quota = await self._cluster.quota(key)
        before = self._counts.pop(key, None)
        if quota is None:
            return DONE
        found = {
            kind: await self._cluster.contents(key.namespace, *kind) for kind in counted(quota)
        }
        todo = plan(quota, found, self._cluster.time())
        if todo.status is not None and lowers(quota, todo.status):
            count = Count(quota["metadata"]["resourceVersion"], todo.status, self._cluster.now())
            if before is None or (before.revision, before.status) != (count.revision, count.status):
                before = count
            left = before.at + CHARGED_SECONDS - count.at
            if left > 0:
                self._counts[key] = before
                return Result(again_after=left)
        if todo.status is not None:
            await self._cluster.write(quota, todo.status)
        return Result(again_after=self._resync_seconds)
