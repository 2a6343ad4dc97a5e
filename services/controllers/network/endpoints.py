"""
Endpoints: the older list of who answers for a Service, one object under the Service's name.

Reads   Service, Pod (those it selects), Endpoints
Writes  Endpoints (create, update)
Again   never: whatever matters is a change

Clients that still read it find at most ``ADDRESSES_MAX`` addresses; EndpointSlice has them all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pilothouse.services.machinery.kinds import endpoints, pods, services
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.kinds.services import (
    EndpointAddress,
    EndpointPort,
    Endpoints,
    EndpointSubset,
    Service,
)
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import DONE, Result

ADDRESSES_MAX = 1000
UNSEEN_SECONDS_MAX = 5.0
MANAGED_BY = "endpoints.kubernetes.io/managed-by"


@dataclass(frozen=True, slots=True)
class Plan:
    """What the object shall say, or that it says so already."""

    write: bool
    subsets: tuple[EndpointSubset, ...]
    labels: Mapping[str, str]


def plan(service: Service, candidates: Sequence[Pod], present: Endpoints | None) -> Plan:
    """``candidates``: pods of the namespace."""
    labels = {**service.metadata.labels, MANAGED_BY: "endpoint-controller"}
    if services.is_headless(service):
        labels[endpoints.HEADLESS] = ""
    subsets = _subsets(service, endpoints.selected(service, candidates)[:ADDRESSES_MAX])
    same = (
        present is not None
        and (present.subsets or ()) == subsets
        and labels.items() <= present.metadata.labels.items()
    )
    return Plan(not same, subsets, labels)


def _subsets(service: Service, found: Sequence[Pod]) -> tuple[EndpointSubset, ...]:
    family = endpoints.families(service)[0]
    grouped: dict[tuple[EndpointPort, ...], tuple[list[EndpointAddress], list[EndpointAddress]]]
    grouped = {}
    for pod in found:
        published = service.spec.publish_not_ready_addresses
        addressed = endpoints.addresses(pod, family)
        if not addressed or (pod.metadata.deleting and not published):
            continue
        ready, unready = grouped.setdefault(endpoints.ports(service, pod), ([], []))
        chosen = ready if published or pods.is_ready(pod) else unready
        named = pod.spec.hostname and pod.spec.subdomain == service.metadata.name
        chosen.append(
            EndpointAddress(
                ip=addressed[0],
                hostname=pod.spec.hostname if named else "",
                node_name=pod.spec.node_name or None,
                target_ref=endpoints.target(pod),
            )
        )
    return tuple(
        EndpointSubset(addresses=tuple(ready), not_ready_addresses=tuple(unready), ports=ports)
        for ports, (ready, unready) in grouped.items()
    )


class Cluster(Protocol):
    """What this controller asks of the API."""

    def service(self, key: Key) -> Service | None: ...
    def pods_beside(self, service: Service) -> Sequence[Pod]:
        """All pods of the namespace."""

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
            return Result(again_after=UNSEEN_SECONDS_MAX)
        present = self._cluster.endpoints(key)
        todo = plan(service, self._cluster.pods_beside(service), present)
        if todo.write:
            await self._cluster.write(service, present, todo)
        return DONE
