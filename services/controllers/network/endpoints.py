"""
Endpoints: the older list of who answers for a Service, one object under the Service's name.

Reads   Service, Pod (those it selects), Endpoints
Writes  Endpoints (create, update, delete)
Again   never: whatever matters is a change

Clients that still read it find at most ``ADDRESSES_MAX`` addresses; EndpointSlice has them all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pilothouse.services.controllers.network import subsets
from pilothouse.services.controllers.network.triggers import ANNOTATION
from pilothouse.services.machinery.kinds import endpoints, services
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.kinds.services import Endpoints, EndpointSubset, Service
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import DONE, Result

ADDRESSES_MAX = 1000
UNSEEN_SECONDS_MAX = 5.0
MANAGED_BY = "endpoints.kubernetes.io/managed-by"
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
LEADER = "control-plane.alpha.kubernetes.io/leader"


@dataclass(frozen=True, slots=True)
class Plan:
    """What the object shall say, or that it says so already; None takes an annotation away."""

    write: bool
    subsets: tuple[EndpointSubset, ...]
    labels: Mapping[str, str]
    annotations: Mapping[str, str | None]


def plan(
    service: Service,
    candidates: Sequence[Pod],
    present: Endpoints | None,
    trigger: str | None = None,
) -> Plan:
    """``candidates``: pods of the namespace; ``trigger``: when that happened which is written."""
    labels = {**service.metadata.labels, MANAGED_BY: "endpoint-controller"}
    if services.is_headless(service):
        labels[endpoints.HEADLESS] = ""
    else:
        labels.pop(endpoints.HEADLESS, None)
    whole = subsets.of(service, endpoints.selected(service, candidates))
    told = subsets.cut(whole, ADDRESSES_MAX)
    over = None if told == whole else "truncated"
    same = (
        present is not None
        and (present.subsets or ()) == told
        and present.metadata.labels == labels
        and present.metadata.annotations.get(OVER_CAPACITY) == over
    )
    return Plan(not same, told, labels, {OVER_CAPACITY: over, ANNOTATION: trigger})


class Cluster(Protocol):
    """What this controller asks of the API."""

    def service(self, key: Key) -> Service | None: ...
    def pods_of(self, service: Service) -> Sequence[Pod]:
        """All that it selects."""

    def trigger(self, service: Service, found: Sequence[Pod]) -> str | None:
        """When that happened which is new since the last time this was asked."""

    def endpoints(self, key: Key) -> Endpoints | None: ...
    def settled(self, key: Key) -> bool:
        """Whether our own last write for ``key`` has come back to us."""

    async def write(self, service: Service, present: Endpoints | None, todo: Plan) -> None: ...
    async def delete(self, key: Key) -> None:
        """The Service of that name is gone."""


class EndpointsController:
    """Keeps each Service's Endpoints object."""

    name = "endpoints"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def reconcile(self, key: Key) -> Result:
        service = self._cluster.service(key)
        if service is None:
            await self._cluster.delete(key)
            return DONE
        if not endpoints.is_selecting(service):
            return DONE
        if not self._cluster.settled(key):
            return Result.unseen(UNSEEN_SECONDS_MAX)
        present = self._cluster.endpoints(key)
        found = self._cluster.pods_of(service)
        todo = plan(service, found, present, self._cluster.trigger(service, found))
        if todo.write:
            await self._cluster.write(service, present, todo)
        return DONE
