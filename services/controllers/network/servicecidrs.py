"""
ServiceCIDR: a range is ready while it is there, and stays as long as Services need it.

Reads   ServiceCIDR, IPAddress
Writes  ServiceCIDR (its finalizer, its condition Ready)
Again   ``GRACE_SECONDS`` after a delete: API servers shall have heard of it before it goes

A range may go when each of its networks is covered by another range, or none of its addresses
would be left without one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.kinds import ranges
from pilothouse.services.machinery.kinds.ranges import (
    RANGE_FINALIZER,
    Address,
    RangeCondition,
    ServiceRange,
)
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import DONE, Result

GRACE_SECONDS = 2.0
"""Our API servers look for what is newest before they give out an address: a fifth of what the
real ones are given suffices.
"""
READY = "Kubernetes Service CIDR is ready"
BLOCKED = (
    "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new "
    "ServiceCIDR"
)


@dataclass(frozen=True, slots=True)
class Plan:
    """``finalizers`` and ``condition`` are to be written, unless None."""

    finalizers: tuple[str, ...] | None = None
    condition: RangeCondition | None = None
    again_after: float | None = None


def plan(
    range_: ServiceRange, others: Iterable[ServiceRange], addresses: Iterable[Address], now: float
) -> Plan:
    """``others``: all ranges but this one; ``now``: seconds since the epoch."""
    metadata = range_.metadata
    held = RANGE_FINALIZER in metadata.finalizers
    if metadata.deletion_timestamp is None:
        ready = RangeCondition(type="Ready", status="True", message=READY)
        finalizers = None if held else (*metadata.finalizers, RANGE_FINALIZER)
        return Plan(finalizers, _differing(range_, ready, now))
    if not held:
        return Plan()
    if ranges.orphans(range_, others, addresses):
        blocked = RangeCondition(
            type="Ready", status="False", reason="Terminating", message=BLOCKED
        )
        return Plan(condition=_differing(range_, blocked, now))
    left = timestamps.parse(metadata.deletion_timestamp) + GRACE_SECONDS - now
    if left > 0:
        return Plan(again_after=left)
    return Plan(tuple(name for name in metadata.finalizers if name != RANGE_FINALIZER))


def _differing(range_: ServiceRange, wanted: RangeCondition, now: float) -> RangeCondition | None:
    """``wanted`` with the time of its status, or None where it says so already."""
    old = next((each for each in range_.status.conditions if each.type == wanted.type), None)
    since = timestamps.render(now)
    if old is not None and old.status == wanted.status:
        if (old.reason, old.message) == (wanted.reason, wanted.message):
            return None
        since = old.last_transition_time or since
    return RangeCondition(
        type=wanted.type,
        status=wanted.status,
        reason=wanted.reason,
        message=wanted.message,
        last_transition_time=since,
    )


class Cluster(Protocol):
    """What this controller asks of the API."""

    def range(self, key: Key) -> ServiceRange | None: ...
    def others(self, key: Key) -> Iterable[ServiceRange]:
        """Every range but that one."""

    def addresses(self) -> Iterable[Address]: ...
    def now(self) -> float: ...
    async def finalize(self, range_: ServiceRange, finalizers: tuple[str, ...]) -> None:
        """Write these finalizers over that state; nothing where it is gone."""

    async def tell(self, range_: ServiceRange, condition: RangeCondition) -> None:
        """Write the condition; nothing where the range is gone."""


class ServiceCidrController:
    """Keeps every ServiceCIDR's finalizer and condition."""

    name = "service-cidr"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def reconcile(self, key: Key) -> Result:
        found = self._cluster.range(key)
        if found is None:
            return DONE
        cluster = self._cluster
        todo = plan(found, cluster.others(key), cluster.addresses(), cluster.now())
        if todo.finalizers is not None:
            # What this changes brings the key back, and then the condition is written.
            await cluster.finalize(found, todo.finalizers)
        elif todo.condition is not None:
            await cluster.tell(found, todo.condition)
        return Result(again_after=todo.again_after) if todo.again_after is not None else DONE
