"""
EndpointSlice mirroring: what somebody wrote into Endpoints by hand is in EndpointSlices too.

Reads   Endpoints, Service (whether it selects pods itself), EndpointSlice (its own)
Writes  EndpointSlice (create, update, delete)
Again   never: whatever matters is a change

Only for Services without a selector, and not for Endpoints that ask to be left alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

from pilothouse.services.controllers.network import slices
from pilothouse.services.controllers.network.slices import Content, Ports
from pilothouse.services.machinery.kinds import endpoints, services
from pilothouse.services.machinery.kinds.services import (
    Endpoint,
    EndpointAddress,
    EndpointConditions,
    Endpoints,
    EndpointSlice,
    Service,
)
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import DONE, Result

CONTROLLER = "endpointslicemirroring-controller.k8s.io"
SKIP = "endpointslice.kubernetes.io/skip-mirror"
LEADER = "control-plane.alpha.kubernetes.io/leader"
ADDRESSES_MAX = 1000
UNSEEN_SECONDS_MAX = 5.0
_NOT_COPIED = frozenset(
    {
        "endpoints.kubernetes.io/last-change-trigger-time",
        "kubectl.kubernetes.io/last-applied-configuration",
    }
)


@dataclass(frozen=True, slots=True)
class Plan:
    write: tuple[Content, ...]
    delete: tuple[EndpointSlice, ...]
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


def plan(
    written: Endpoints | None, service: Service | None, present: Sequence[EndpointSlice]
) -> Plan:
    """``present``: the slices that mirror these Endpoints now."""
    staying = sorted(
        (item for item in present if not item.metadata.deleting),
        key=lambda item: item.metadata.name,
    )
    if written is None or not is_mirrored(written, service):
        return Plan((), tuple(staying), {}, {})
    metadata = written.metadata
    labels = {
        **metadata.labels,
        services.SERVICE_NAME: metadata.name,
        services.MANAGED_BY: CONTROLLER,
    }
    annotations = {
        name: value for name, value in metadata.annotations.items() if name not in _NOT_COPIED
    }
    write: list[Content] = []
    delete: list[EndpointSlice] = []
    for family in (endpoints.IPV4, endpoints.IPV6):
        of_family = [item for item in staying if item.address_type == family]
        grouped = _grouped(written, family)
        if not grouped:
            delete += of_family
            continue
        layout = slices.lay_out(family, grouped, of_family)
        write += [
            item
            for item in layout.contents
            if slices.changed(item, labels) or _other_annotations(item, annotations)
        ]
        delete += layout.delete
    return Plan(tuple(write), tuple(delete), labels, annotations)


def is_mirrored(written: Endpoints, service: Service | None) -> bool:
    """Whether nobody else tells of these endpoints in slices."""
    metadata = written.metadata
    if metadata.deleting or metadata.labels.get(SKIP) == "true" or LEADER in metadata.annotations:
        return False
    return service is not None and not service.metadata.deleting and not service.spec.selector


def _other_annotations(content: Content, annotations: Mapping[str, str]) -> bool:
    return content.present is not None and content.present.metadata.annotations != annotations


def _grouped(written: Endpoints, family: str) -> dict[Ports, list[Endpoint]]:
    """Endpoints of the family by their ports; one told twice counts once, as ready if it can."""
    grouped: dict[Ports, dict[str, Endpoint]] = {}
    for subset in written.subsets or ():
        told = chain(
            _endpoints(subset.addresses, family, ready=True),
            _endpoints(subset.not_ready_addresses, family, ready=False),
        )
        found = dict[str, Endpoint]()
        for endpoint in told:
            found.setdefault(endpoint.addresses[0], endpoint)
        if found:
            grouped[subset.ports] = found | grouped.get(subset.ports, {})
    return {ports: list(found.values()) for ports, found in grouped.items()}


def _endpoints(
    addresses: Sequence[EndpointAddress], family: str, *, ready: bool
) -> Iterable[Endpoint]:
    for address in addresses[:ADDRESSES_MAX]:
        if endpoints.family_of(address.ip) == family:
            yield Endpoint(
                addresses=(address.ip,),
                conditions=EndpointConditions(ready=ready),
                hostname=address.hostname or None,
                node_name=address.node_name,
                target_ref=address.target_ref,
            )


class Cluster(Protocol):
    """What this controller asks of the API."""

    def written(self, key: Key) -> Endpoints | None: ...
    def service(self, key: Key) -> Service | None: ...
    def mirrors(self, key: Key) -> Sequence[EndpointSlice]: ...
    def settled(self, key: Key) -> bool:
        """Whether our own last writes for ``key`` have come back to us."""

    async def mirror(self, key: Key, written: Endpoints | None, todo: Plan) -> None: ...


class EndpointSliceMirroringController:
    """Keeps the mirrors of all Endpoints."""

    name = "endpointslicemirroring"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def reconcile(self, key: Key) -> Result:
        if not self._cluster.settled(key):
            return Result(again_after=UNSEEN_SECONDS_MAX)
        written, service = self._cluster.written(key), self._cluster.service(key)
        todo = plan(written, service, self._cluster.mirrors(key))
        await self._cluster.mirror(key, written, todo)
        return DONE
