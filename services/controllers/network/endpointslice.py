"""
EndpointSlice: say of every Service with a selector which addresses answer for it now.

Reads   Service, Pod (those it selects), EndpointSlice (its own), Node (zones, their CPU)
Writes  EndpointSlice (create, update, delete)
Again   never: whatever matters is a change

How endpoints are laid out over slices is in :mod:`…network.slices`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from pilothouse.services.controllers.network import hints, slices
from pilothouse.services.controllers.network.slices import ENDPOINTS_MAX, Content
from pilothouse.services.machinery.kinds import endpoints, services
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.kinds.services import EndpointSlice, Service
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import DONE, Result

UNSEEN_SECONDS_MAX = 5.0


@dataclass(frozen=True, slots=True)
class Around:
    """What matters beside the Service and its pods.

    ``zones``: of each node, empty where it is in none; ``capacity``: each zone's part of the CPU,
    None where that can not be told; ``limit``: endpoints of a slice; ``trigger``: when that
    happened which is written.
    """

    zones: Mapping[str, str]
    capacity: Mapping[str, float] | None = None
    limit: int = ENDPOINTS_MAX
    trigger: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """``astray``: there are pods on nodes that are not there, which are left out until they are.

    ``notes`` are what people are told of the Service.
    """

    write: tuple[Content, ...]
    delete: tuple[EndpointSlice, ...]
    labels: Mapping[str, str]
    trigger: str | None = None
    astray: bool = False
    notes: tuple[hints.Note, ...] = ()


def plan(
    service: Service, candidates: Sequence[Pod], present: Sequence[EndpointSlice], around: Around
) -> Plan:
    """``candidates``: pods of the namespace; ``present``: slices that tell of a Service so named.

    A Service that goes gets no new slices: who deletes those it owns would never be done.
    """
    labels = slice_labels(service)
    staying = sorted(
        (item for item in present if not item.metadata.deleting),
        key=lambda item: item.metadata.name,
    )
    own = [item for item in staying if _is_own(item, service)]
    found = endpoints.selected(service, candidates)
    placed = [pod for pod in found if _is_placed(pod, service, around.zones)]
    families = endpoints.families(service)
    write: list[Content] = []
    delete = [item for item in staying if item not in own or item.address_type not in families]
    notes: list[hints.Note] = []
    for family in families:
        of_family = [item for item in own if item.address_type == family]
        wanted = slices.wanted(service, family, placed, around.zones)
        every = [endpoint for all_ in wanted.values() for endpoint in all_]
        before = [endpoint for item in of_family for endpoint in item.endpoints or ()]
        notes += hints.notes(service, family, (before, every), around.capacity)
        hinted = iter(hints.hinted(service, every, around.capacity))
        grouped = {ports: list(islice(hinted, len(all_))) for ports, all_ in wanted.items()}
        layout = slices.lay_out(family, grouped, of_family, labels, around.limit)
        write += [item for item in layout.contents if slices.changed(item, labels)]
        delete += layout.delete
    if service.metadata.deleting:
        write = [item for item in write if item.present is not None]
    astray = placed != found
    return Plan(tuple(write), tuple(delete), labels, around.trigger, astray, tuple(notes))


def _is_own(item: EndpointSlice, service: Service) -> bool:
    """Not one of a Service of this name that was there before."""
    owners = item.metadata.owner_references
    return any(owner.kind == "Service" and owner.uid == service.metadata.uid for owner in owners)


def _is_placed(pod: Pod, service: Service, zones: Mapping[str, str]) -> bool:
    node = pod.spec.node_name
    return not node or node in zones or service.spec.publish_not_ready_addresses


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
    def pods_of(self, service: Service) -> Sequence[Pod]:
        """All that it selects."""

    def slices_of(self, service: Service) -> Sequence[EndpointSlice]: ...
    def around(self, service: Service, found: Sequence[Pod]) -> Around:
        """As it is now; its trigger is what is new since the last time this was asked."""

    def settled(self, key: Key) -> bool:
        """Whether our own last writes for ``key`` have come back to us."""

    async def apply(self, service: Service, todo: Plan) -> None:
        """And look again at those astray when a node comes."""

    def forget(self, key: Key) -> None: ...


class EndpointSliceController:
    """Keeps each Service's slices."""

    name = "endpointslice"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def reconcile(self, key: Key) -> Result:
        service = self._cluster.service(key)
        if service is None:
            self._cluster.forget(key)
            return DONE
        if not endpoints.is_selecting(service):
            return DONE
        if not self._cluster.settled(key):
            return Result.unseen(UNSEEN_SECONDS_MAX)
        present = self._cluster.slices_of(service)
        found = self._cluster.pods_of(service)
        todo = plan(service, found, present, self._cluster.around(service, found))
        await self._cluster.apply(service, todo)
        return DONE
