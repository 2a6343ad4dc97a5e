"""Devices by resource: which are there and well, which is whose, and who gets which. Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.machinery import quantity

HEALTHY = "Healthy"
GONE_SECONDS = 300.0
"""A plugin that went away may come back within this; then its resource is none."""


@dataclass(frozen=True, slots=True)
class Device:
    """One of a resource; ``numa_nodes``: where it is near."""

    id: str
    is_healthy: bool = True
    numa_nodes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Owner:
    """A container of a pod."""

    uid: str
    container: str


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a container has of one resource; ``answer``: the plugin's own words, encoded."""

    resource: str
    ids: tuple[str, ...]
    answer: bytes = b""


@dataclass(slots=True)
class Offer:
    """A resource; ``gone_at``: since when its plugin does not answer."""

    devices: dict[str, Device] = field(default_factory=dict)
    gone_at: float | None = None


class Shortage(Exception):
    """Not enough devices; says so as a pod's status does."""


@dataclass(slots=True)
class Inventory:
    """All of one node."""

    offers: dict[str, Offer] = field(default_factory=dict)
    assigned: dict[Owner, tuple[Assignment, ...]] = field(default_factory=dict)

    def capacity(self, now: float) -> dict[str, str]:
        """All devices by resource; none of what is gone for good."""
        return {
            name: str(0 if _is_over(offer, now) else len(offer.devices))
            for name, offer in self.offers.items()
        }

    def allocatable(self, now: float) -> dict[str, str]:
        """Those that are well; none where nobody could hand them out."""
        return {
            name: str(
                0
                if _is_over(offer, now) or offer.gone_at is not None
                else sum(item.is_healthy for item in offer.devices.values())
            )
            for name, offer in self.offers.items()
        }

    def free(self, resource: str, active: Collection[str]) -> list[str]:
        """Well, and of no pod of ``active``."""
        used = {
            id_
            for owner, assignments in self.assigned.items()
            if owner.uid in active
            for item in assignments
            if item.resource == resource
            for id_ in item.ids
        }
        offer = self.offers.get(resource)
        devices = () if offer is None else offer.devices.values()
        return sorted(item.id for item in devices if item.is_healthy and item.id not in used)

    def release(self, uid: str) -> bool:
        """The pod has nothing any more; whether it had."""
        gone = [owner for owner in self.assigned if owner.uid == uid]
        for owner in gone:
            del self.assigned[owner]
        return bool(gone)

    def has(self, uid: str) -> bool:
        return any(owner.uid == uid for owner in self.assigned)

    def of(self, uid: str, container: str) -> tuple[Assignment, ...]:
        return self.assigned.get(Owner(uid, container), ())

    def available(self, resource: str, number: int, active: Collection[str]) -> list[str]:
        """Those that may be given; Shortage where they are too few."""
        if resource not in self.offers or self.offers[resource].gone_at is not None:
            raise Shortage(
                "Allocate failed due to no healthy devices present; cannot allocate unhealthy "
                f"devices {resource}, which is unexpected"
            )
        found = self.free(resource, active)
        if len(found) < number:
            raise Shortage(
                f"Allocate failed due to requested number of devices unavailable for {resource}. "
                f"Requested: {number}, Available: {len(found)}, which is unexpected"
            )
        return found

    def health(self, uid: str, container: str) -> list[dict[str, object]]:
        """``allocatedResourcesStatus`` of one container."""
        told: list[dict[str, object]] = []
        for item in self.of(uid, container):
            offer = self.offers.get(item.resource)
            known = {} if offer is None or offer.gone_at is not None else offer.devices
            resources = [{"resourceID": id_, "health": _health(known, id_)} for id_ in item.ids]
            told.append({"name": item.resource, "resources": resources})
        return told


def _is_over(offer: Offer, now: float) -> bool:
    return offer.gone_at is not None and now - offer.gone_at >= GONE_SECONDS


def _health(known: Mapping[str, Device], id_: str) -> str:
    if id_ not in known:
        return "Unknown"
    return "Healthy" if known[id_].is_healthy else "Unhealthy"


@dataclass(frozen=True, slots=True)
class Wish:
    """So many of a resource for one container."""

    container: str
    resource: str
    number: int
    is_passing: bool = False
    """An init container ends before the others start: they take over what it had."""


def wishes(pod: Pod, resources: Collection[str]) -> Iterator[Wish]:
    """What a pod's containers are to have of these resources, init containers first."""
    for item in pod.spec.init_containers:
        yield from _of(item.name, item.resources.limits, resources, passing=not item.is_sidecar)
    for item in pod.spec.containers:
        yield from _of(item.name, item.resources.limits, resources, passing=False)


def _of(
    name: str,
    limits: Mapping[str, str | int | float],
    resources: Collection[str],
    *,
    passing: bool,
) -> Iterator[Wish]:
    for resource, amount in sorted(limits.items()):
        number = int(quantity.ceiling(amount)) if resource in resources else 0
        if number:
            yield Wish(name, resource, number, passing)


def prefer(available: Iterable[str], reusable: Iterable[str], number: int) -> tuple[str, ...]:
    """So many: first what init containers of the same pod leave behind."""
    first = sorted(reusable)[:number]
    rest = [id_ for id_ in available if id_ not in first]
    return tuple(first + rest[: number - len(first)])
