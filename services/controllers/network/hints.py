"""For whom each endpoint is meant: hints by which proxies keep traffic near.

``spec.trafficDistribution`` asks for the own zone or node wherever there is an endpoint; the
annotation ``topology-mode: Auto`` shares endpoints out by how much CPU each zone has, and gives up
where that would load some too much.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from msgspec import structs

from pilothouse.services.machinery.kinds.services import Endpoint, ForName, Hints, Service

MODE = "service.kubernetes.io/topology-mode"
MODE_BEFORE = "service.kubernetes.io/topology-aware-hints"
SAME_ZONE = frozenset({"PreferClose", "PreferSameZone"})
SAME_NODE = "PreferSameNode"
OVERLOAD = 0.2
"""By how much more than its part an endpoint may have to bear."""
_ZONES_MIN = 2

Note: TypeAlias = tuple[str, str, str]
"""Normal or Warning, a reason, and a sentence."""


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


def notes(
    service: Service,
    family: str,
    change: tuple[Sequence[Endpoint], Sequence[Endpoint]],
    capacity: Mapping[str, float] | None,
) -> list[Note]:
    """That endpoints are shared out from now on, or why they are not, in upstream's words.

    ``change``: those that are told of now, and those that shall be.
    """
    if not is_automatic(service):
        return []
    before, found = change
    refused = _refusal(found, capacity)
    if refused:
        text = f"{refused}, addressType: {family}"
        return [("Warning", "TopologyAwareHintsDisabled", text)]
    if any(item.hints for item in before):
        return []
    text = f"Topology Aware Hints has been enabled, addressType: {family}"
    return [("Normal", "TopologyAwareHintsEnabled", text)]


def _refusal(found: Sequence[Endpoint], capacity: Mapping[str, float] | None) -> str:
    if capacity is None or len(capacity) < _ZONES_MIN:
        return (
            "Insufficient Node information: allocatable CPU or zone not specified on one or more "
            "nodes"
        )
    ready = _ready(found)
    sizes = f"({len(ready)} endpoints, {len(capacity)} zones)"
    if len(ready) < len(capacity):
        return f"Insufficient number of endpoints {sizes}"
    if sum(_least(capacity, len(ready)).values()) > len(ready):
        return (
            "Unable to allocate minimum required endpoints to each zone without exceeding "
            f"overload threshold {sizes}"
        )
    if any(found[index].zone not in capacity for index in ready):
        return "One or more endpoints do not have a zone specified"
    return ""


def _ready(found: Sequence[Endpoint]) -> list[int]:
    return [index for index, item in enumerate(found) if item.conditions.ready is not False]


def _least(capacity: Mapping[str, float], many: int) -> dict[str, int]:
    return {zone: math.ceil(part * many / (1 + OVERLOAD)) for zone, part in capacity.items()}


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
    if _refusal(found, capacity):
        return None
    ready = _ready(found)
    least = _least(capacity, len(ready))
    spare = len(ready) - sum(least.values())
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
