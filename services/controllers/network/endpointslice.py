"""
EndpointSlice: say of every Service with a selector which addresses answer for it now.

Reads   Service, Pod (those it selects), EndpointSlice (its own), Node (zones, their CPU)
Writes  EndpointSlice (create, update, delete)
Again   never: whatever matters is a change

How endpoints are laid out over slices is in :mod:`…network.slices`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pilothouse.services.controllers.network import hints, slices
from pilothouse.services.controllers.network.slices import Content
from pilothouse.services.machinery.kinds import endpoints, services
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.kinds.services import EndpointSlice, Service
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import DONE, Result

UNSEEN_SECONDS_MAX = 5.0


@dataclass(frozen=True, slots=True)
class Plan:
    write: tuple[Content, ...]
    delete: tuple[EndpointSlice, ...]
    labels: Mapping[str, str]


def plan(
    service: Service,
    candidates: Sequence[Pod],
    present: Sequence[EndpointSlice],
    zones: Mapping[str, str],
    capacity: Mapping[str, float] | None = None,
) -> Plan:
    """``candidates``: pods of the namespace; ``present``: our slices; ``zones``: of the nodes.

    ``capacity`` is each zone's part of the CPU, None where that can not be told.
    """
    labels = slice_labels(service)
    staying = sorted(
        (item for item in present if not item.metadata.deleting),
        key=lambda item: item.metadata.name,
    )
    found = endpoints.selected(service, candidates)
    families = endpoints.families(service)
    write: list[Content] = []
    delete = [item for item in staying if item.address_type not in families]
    for family in families:
        grouped = {
            ports: hints.hinted(service, all_, capacity)
            for ports, all_ in slices.wanted(service, family, found, zones).items()
        }
        of_family = [item for item in staying if item.address_type == family]
        layout = slices.lay_out(family, grouped, of_family)
        write += [item for item in layout.contents if slices.changed(item, labels)]
        delete += layout.delete
    return Plan(tuple(write), tuple(delete), labels)


def slice_labels(service: Service) -> dict[str, str]:
    """The Service's own labels, and those by which its slices are found."""
    labels = {
        **service.metadata.labels,
        services.SERVICE_NAME: service.metadata.name,
        services.MANAGED_BY: endpoints.SLICE_CONTROLLER,
    }
    if services.is_headless(service):
        labels[endpoints.HEADLESS] = ""
    else:
        labels.pop(endpoints.HEADLESS, None)
    return labels


class Cluster(Protocol):
    """What this controller asks of the API."""

    def service(self, key: Key) -> Service | None: ...
    def pods_beside(self, service: Service) -> Sequence[Pod]:
        """All pods of the namespace."""

    def slices_of(self, service: Service) -> Sequence[EndpointSlice]: ...
    def zones(self) -> Mapping[str, str]: ...
    def capacity(self) -> Mapping[str, float] | None:
        """Each zone's part of the CPU of all nodes that are ready."""

    def settled(self, key: Key) -> bool:
        """Whether our own last writes for ``key`` have come back to us."""

    async def apply(self, service: Service, todo: Plan) -> None: ...


class EndpointSliceController:
    """Keeps each Service's slices."""

    name = "endpointslice"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def reconcile(self, key: Key) -> Result:
        service = self._cluster.service(key)
        if service is None or service.metadata.deleting or not endpoints.is_selecting(service):
            return DONE
        if not self._cluster.settled(key):
            return Result(again_after=UNSEEN_SECONDS_MAX)
        present = self._cluster.slices_of(service)
        beside = self._cluster.pods_beside(service)
        capacity = self._cluster.capacity() if hints.is_automatic(service) else None
        todo = plan(service, beside, present, self._cluster.zones(), capacity)
        await self._cluster.apply(service, todo)
        return DONE
