"""What upstream counts of EndpointSlices; most of it is looked up when somebody asks."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator

from pilothouse.services.machinery.kinds import endpoints
from pilothouse.services.machinery.kinds.services import MANAGED_BY, SERVICE_NAME, EndpointSlice
from pilothouse.services.runtime.client.cache import Cache
from pilothouse.services.runtime.exposition import Family

PREFIX = "endpoint_slice_controller_"


class Measures:
    """Of all slices that our controller keeps; ``limit`` endpoints are in one at most."""

    def __init__(self, slices: Cache[EndpointSlice], limit: int) -> None:
        self.changes: Counter[str] = Counter()
        self._slices = slices
        self._limit = limit

    def families(self) -> Iterator[Family]:
        """Upstream's metrics under their names."""
        changes = Family(f"{PREFIX}changes", "counter", "Slices written, by what was done.")
        for operation in ("create", "delete", "update"):
            changes.add(self.changes[operation], ("operation", operation))
        yield changes
        found = [item for item in self._slices.values() if _is_own(item)]
        sizes: Counter[object] = Counter()
        for item in found:
            name = item.metadata.labels.get(SERVICE_NAME)
            group = (item.metadata.namespace, name, item.address_type, item.ports)
            sizes[group] += len(item.endpoints or ())
        wanted = _wanted(sizes.values(), self._limit)
        yield Family(f"{PREFIX}num_endpoint_slices", "gauge", "Slices there are.").add(len(found))
        yield Family(f"{PREFIX}desired_endpoint_slices", "gauge", "Slices if all were full.").add(
            wanted
        )
        yield Family(f"{PREFIX}endpoints_desired", "gauge", "Endpoints in all slices.").add(
            sizes.total()
        )


def _is_own(item: EndpointSlice) -> bool:
    return item.metadata.labels.get(MANAGED_BY) == endpoints.SLICE_CONTROLLER


def _wanted(sizes: Iterable[int], limit: int) -> int:
    return sum(max(math.ceil(size / limit), 1) for size in sizes)
