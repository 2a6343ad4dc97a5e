"""
EndpointSlice mirroring: what somebody wrote into Endpoints by hand is in EndpointSlices too.

Reads   Endpoints, Service (whether it selects pods itself), EndpointSlice (its own)
Writes  EndpointSlice (create, update, delete)
Again   never: whatever matters is a change

Only for Services without a selector, and not for Endpoints that ask to be left alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pilothouse.services.controllers.network import mirrored, slices
from pilothouse.services.controllers.network.slices import Content
from pilothouse.services.machinery.kinds import endpoints, services
from pilothouse.services.machinery.kinds.services import Endpoints, EndpointSlice, Service
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import DONE, Result

CONTROLLER = "endpointslicemirroring-controller.k8s.io"
SKIP = "endpointslice.kubernetes.io/skip-mirror"
LEADER = "control-plane.alpha.kubernetes.io/leader"
ADDRESSES_MAX = 1000
"""Of a subset; each has one slice, so that what was written together stays together."""
UNSEEN_SECONDS_MAX = 5.0
_NOT_COPIED = frozenset(
    {
        "endpoints.kubernetes.io/last-change-trigger-time",
        "kubectl.kubernetes.io/last-applied-configuration",
    }
)


@dataclass(frozen=True, slots=True)
class Plan:
    """``skipped``: addresses for which there is no room."""

    write: tuple[Content, ...]
    delete: tuple[EndpointSlice, ...]
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    skipped: int = 0


def plan(
    written: Endpoints | None,
    service: Service | None,
    present: Sequence[EndpointSlice],
    limit: int = ADDRESSES_MAX,
) -> Plan:
    """``present``: the slices that mirror these Endpoints now; ``limit``: addresses of a subset."""
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
        layout = mirrored.lay_out(family, mirrored.grouped(written, family, limit), of_family)
        write += [
            item
            for item in layout.contents
            if slices.changed(item, labels) or _other_annotations(item, annotations)
        ]
        delete += layout.delete
    sizes = (len(part.addresses) + len(part.not_ready_addresses) for part in written.subsets or ())
    skipped = sum(max(size - limit, 0) for size in sizes)
    return Plan(tuple(write), tuple(delete), labels, annotations, skipped)


def is_mirrored(written: Endpoints, service: Service | None) -> bool:
    """Whether nobody else tells of these endpoints in slices."""
    metadata = written.metadata
    if metadata.deleting or metadata.labels.get(SKIP) == "true" or LEADER in metadata.annotations:
        return False
    return service is not None and not service.spec.selector


def _other_annotations(content: Content, annotations: Mapping[str, str]) -> bool:
    return content.present is not None and content.present.metadata.annotations != annotations


class Cluster(Protocol):
    """What this controller asks of the API."""

    def written(self, key: Key) -> Endpoints | None: ...
    def service(self, key: Key) -> Service | None: ...
    def mirrors(self, key: Key) -> Sequence[EndpointSlice]: ...
    def limit(self) -> int:
        """How many addresses of a subset are mirrored."""

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
            return Result.unseen(UNSEEN_SECONDS_MAX)
        written, service = self._cluster.written(key), self._cluster.service(key)
        mirrors, limit = self._cluster.mirrors(key), self._cluster.limit()
        todo = plan(written, service, mirrors, limit)
        await self._cluster.mirror(key, written, todo)
        return DONE
