"""Which endpoints are meant for this node: hints, where every endpoint has them."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from pilothouse.services.machinery.kinds.services import Endpoint, ForName


class Place(NamedTuple):
    """A node and its zone, which may be empty."""

    node: str
    zone: str = ""


def meant(candidates: Iterable[Endpoint], place: Place) -> Callable[[Endpoint], bool]:
    """A test of endpoints: by node, else by zone, else any.

    Hints of a kind count only where all ready endpoints have them and one is meant for us: a
    Service must never be without endpoints because of a hint.
    """
    ready = [item for item in candidates if item.conditions.ready is not False]

    def by_node(item: Endpoint) -> bool:
        return _names(item.hints.for_nodes if item.hints else None, place.node)

    def by_zone(item: Endpoint) -> bool:
        return _names(item.hints.for_zones if item.hints else None, place.zone)

    if all(item.hints and item.hints.for_nodes for item in ready) and any(map(by_node, ready)):
        return by_node
    zoned = bool(place.zone) and all(item.hints and item.hints.for_zones for item in ready)
    if zoned and any(map(by_zone, ready)):
        return by_zone
    return _any


def _names(named: Iterable[ForName] | None, wanted: str) -> bool:
    return any(item.name == wanted for item in named or ())


def _any(_: Endpoint) -> bool:
    return True
