"""For whom each endpoint is meant: hints by which proxies keep traffic near.

``spec.trafficDistribution`` asks for the own zone or node wherever there is an endpoint; the
annotation ``topology-mode: Auto`` shares endpoints out by how much CPU each zone has, and gives up
where that would load some too much.
"""

import math
from collections.abc import Mapping, Sequence

from msgspec import structs

from pilothouse.services.machinery.kinds.services import Endpoint, ForName, Hints, Service

MODE = "service.kubernetes.io/topology-mode"
MODE_BEFORE = "service.kubernetes.io/topology-aware-hints"
SAME_ZONE = frozenset({"PreferClose", "PreferSameZone"})
SAME_NODE = "PreferSameNode"
OVERLOAD = 0.2
"""By how much more than its part an endpoint may have to bear."""
_ZONES_MIN = 2


def is_automatic(service: Service) -> bool:
    """Whether its endpoints are to be shared out among the zones."""
    annotations = service.metadata.annotations
    mode = annotations.get(MODE_BEFORE, annotations.get(MODE, ""))
    return mode in {"Auto", "auto"}


def hinted(
    service: Service, found: Sequence[Endpoint], capacity: Mapping[str, float] | None
) -> list[Endpoint]:
    """The endpoints with the hints the Service asks for, which may be none.

    ``capacity`` is each zone's part of the CPU of all nodes; None where that can not be told.
    """
    if is_automatic(service):
        given = _shared_out(found, capacity) if capacity else None
        if given is None:
            return [structs.replace(item, hints=None) for item in found]
        return [
            structs.replace(item, hints=_zone(given[index]) if index in given else None)
            for index, item in enumerate(found)
        ]
    wanted = service.spec.traffic_distribution
    return [structs.replace(item, hints=_near(item, wanted)) for item in found]


def _near(endpoint: Endpoint, wanted: str | None) -> Hints | None:
    if endpoint.conditions.ready is False:
        return None
    if wanted in SAME_ZONE:
        return _zone(endpoint.zone) if endpoint.zone else None
    if wanted == SAME_NODE and endpoint.node_name:
        nodes = (ForName(name=endpoint.node_name),)
        zones = (ForName(name=endpoint.zone),) if endpoint.zone else ()
        return Hints(for_nodes=nodes, for_zones=zones)
    return None


def _zone(name: str) -> Hints:
    return Hints(for_zones=(ForName(name=name),))


def _shared_out(found: Sequence[Endpoint], capacity: Mapping[str, float]) -> dict[int, str] | None:
    """The zone of each ready endpoint, by its place; None where they can not be shared out."""
    ready = [index for index, item in enumerate(found) if item.conditions.ready is not False]
    if len(capacity) < _ZONES_MIN or len(ready) < len(capacity):
        return None
    if any(found[index].zone not in capacity for index in ready):
        return None
    least = {zone: math.ceil(part * len(ready) / (1 + OVERLOAD)) for zone, part in capacity.items()}
    spare = len(ready) - sum(least.values())
    if spare < 0:
        return None
    most = {zone: count + spare for zone, count in least.items()}
    given: dict[int, str] = {}
    counts = dict.fromkeys(capacity, 0)
    left = []
    for index in ready:
        zone = found[index].zone or ""
        if counts[zone] < most[zone]:
            counts[zone] += 1
            given[index] = zone
        else:
            left.append(index)
    needed = sum(max(least[zone] - count, 0) for zone, count in counts.items())
    # Zones that have more than they need give what the others still lack.
    for index in reversed(list(given)):
        if needed <= len(left):
            break
        if counts[given[index]] > least[given[index]]:
            counts[given.pop(index)] -= 1
            left.append(index)
    for index in left:
        zone = max(sorted(capacity), key=lambda name: least[name] - counts[name])
        counts[zone] += 1
        given[index] = zone
    return given
