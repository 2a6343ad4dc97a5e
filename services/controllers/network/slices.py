"""How a Service's endpoints are laid out over EndpointSlices, changing as few as possible.

An endpoint stays in the slice it is in; new ones fill what has room; slices that would become
empty are written over before another is created.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from pilothouse.services.machinery.kinds import endpoints
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.kinds.services import (
    Endpoint,
    EndpointPort,
    EndpointSlice,
    Service,
)

ENDPOINTS_MAX = 100

Ports: TypeAlias = tuple[EndpointPort, ...]


@dataclass(frozen=True, slots=True)
class Content:
    """What one slice shall say; ``present`` is the slice that says something else now."""

    family: str
    ports: Ports
    endpoints: tuple[Endpoint, ...]
    present: EndpointSlice | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """Contents of all slices that shall be, and the slices that shall not."""

    contents: tuple[Content, ...]
    delete: tuple[EndpointSlice, ...]


def wanted(
    service: Service, family: str, found: Iterable[Pod], zones: Mapping[str, str]
) -> dict[Ports, list[Endpoint]]:
    """Endpoints by the numbers that the Service's ports have in them."""
    grouped: dict[Ports, list[Endpoint]] = {}
    for pod in found:
        addressed = endpoints.addresses(pod, family)
        if addressed:
            zone = zones.get(pod.spec.node_name)
            grouped.setdefault(endpoints.ports(service, pod), []).append(
                endpoints.endpoint(service, pod, addressed, zone)
            )
    return grouped


def lay_out(
    family: str, grouped: Mapping[Ports, Sequence[Endpoint]], present: Sequence[EndpointSlice]
) -> Layout:
    """``present`` are the Service's slices of this family; one slice stays even if empty."""
    contents: list[Content] = []
    spare = [item for item in present if (item.ports or ()) not in grouped]
    fresh: list[tuple[Ports, tuple[Endpoint, ...]]] = []
    for ports, found in grouped.items():
        of_ports = [item for item in present if (item.ports or ()) == ports]
        kept, left = _keep(of_ports, found)
        for item, stay in kept:
            room = ENDPOINTS_MAX - len(stay)
            filled = (*stay, *left[:room])
            left = left[room:]
            if filled:
                contents.append(Content(family, ports, filled, item))
            else:
                spare.append(item)
        parts = range(0, len(left), ENDPOINTS_MAX)
        fresh += [(ports, tuple(left[at : at + ENDPOINTS_MAX])) for at in parts]
    if not contents and not fresh:
        empty = spare[0] if spare else None
        fresh.append(((empty.ports or ()) if empty is not None else (), ()))
    for ports, part in fresh:
        reused = spare.pop(0) if spare else None
        contents.append(Content(family, ports, part, reused))
    return Layout(tuple(contents), tuple(spare))


def _keep(
    present: Sequence[EndpointSlice], found: Sequence[Endpoint]
) -> tuple[list[tuple[EndpointSlice, tuple[Endpoint, ...]]], list[Endpoint]]:
    """Each slice with those it goes on holding, as they are now; and the endpoints in none."""
    homeless = {_identity(item): item for item in found}
    kept = []
    for item in present:
        held = (_identity(endpoint) for endpoint in item.endpoints or ())
        stay = [homeless.pop(identity) for identity in held if identity in homeless]
        kept.append((item, tuple(stay)))
    return kept, list(homeless.values())


def _identity(endpoint: Endpoint) -> str:
    """The pod behind it; without one, the address."""
    target = endpoint.target_ref
    return target.uid if target is not None and target.uid else ",".join(endpoint.addresses)


def changed(content: Content, labels: Mapping[str, str]) -> bool:
    """Whether the slice of ``content`` has to be written."""
    slice_ = content.present
    return (
        slice_ is None
        or (slice_.endpoints or ()) != content.endpoints
        or (slice_.ports or ()) != content.ports
        or slice_.metadata.labels != labels
    )
