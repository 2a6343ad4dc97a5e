"""How a Service's endpoints are laid out over EndpointSlices, writing as few as possible.

An endpoint stays in the slice it is in. New ones go where something is written anyway, the fullest
first; then into one slice that has room for all of them; then into new ones. Slices that would go
are written over before another is created.
"""

from collections.abc import Mapping, Sequence
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


@dataclass(slots=True)
class _Held:
    """A slice and what it goes on holding; ``touched`` when it is written anyway."""

    item: EndpointSlice
    stay: list[Endpoint]
    touched: bool


def wanted(
    service: Service, family: str, found: Sequence[Pod], zones: Mapping[str, str]
) -> dict[Ports, list[Endpoint]]:
    """Endpoints by the numbers that the Service's ports have in them."""
    grouped: dict[Ports, list[Endpoint]] = {}
    for pod in found:
        addressed = endpoints.addresses(pod, family)
        if addressed:
            zone = zones.get(pod.spec.node_name) or None
            grouped.setdefault(endpoints.ports(service, pod), []).append(
                endpoints.endpoint(service, pod, addressed, zone)
            )
    return grouped


def lay_out(
    family: str,
    grouped: Mapping[Ports, Sequence[Endpoint]],
    present: Sequence[EndpointSlice],
    labels: Mapping[str, str],
    limit: int = ENDPOINTS_MAX,
) -> Layout:
    """``present`` are the Service's slices of this family; one slice stays even if empty."""
    contents: list[Content] = []
    fresh: list[Content] = []
    spare = [item for item in present if (item.ports or ()) not in grouped]
    for ports, found in grouped.items():
        held, left = _keep([item for item in present if (item.ports or ()) == ports], found, labels)
        spare += [each.item for each in held if each.touched and not each.stay]
        kept = [each for each in held if each.stay or not each.touched]
        left = _fill(kept, left, limit)
        contents += [Content(family, ports, tuple(each.stay), each.item) for each in kept]
        parts = range(0, len(left), limit)
        fresh += [Content(family, ports, tuple(left[at : at + limit])) for at in parts]
    if not contents and not fresh:
        fresh.append(Content(family, (), ()))
    for content in fresh:
        reused = spare.pop(0) if spare else None
        contents.append(Content(family, content.ports, content.endpoints, reused))
    return Layout(tuple(contents), tuple(spare))


def _keep(
    present: Sequence[EndpointSlice], found: Sequence[Endpoint], labels: Mapping[str, str]
) -> tuple[list[_Held], list[Endpoint]]:
    """Each slice with those it goes on holding, as they are now; and the endpoints in none."""
    homeless = {_identity(item): item for item in found}
    kept = []
    for item in present:
        told = list(item.endpoints or ())
        held = (_identity(endpoint) for endpoint in told)
        stay = [homeless.pop(identity) for identity in held if identity in homeless]
        kept.append(_Held(item, stay, stay != told or item.metadata.labels != labels))
    return kept, list(homeless.values())


def _fill(held: Sequence[_Held], left: list[Endpoint], limit: int) -> list[Endpoint]:
    """Those of ``left`` for which there is no room."""
    for each in sorted((each for each in held if each.touched), key=lambda each: -len(each.stay)):
        room = max(limit - len(each.stay), 0)
        each.stay += left[:room]
        left = left[room:]
    whole, rest = divmod(len(left), limit)
    fitting = [each for each in held if not each.touched and len(each.stay) + rest <= limit]
    if rest and fitting:
        fullest = max(fitting, key=lambda each: len(each.stay))
        fullest.stay += left[whole * limit :]
        left = left[: whole * limit]
    return left


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
