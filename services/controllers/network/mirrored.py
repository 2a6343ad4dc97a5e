"""What of Endpoints is in the slices that mirror them."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from pilothouse.services.controllers.network.slices import Content, Layout, Ports
from pilothouse.services.machinery.kinds import endpoints
from pilothouse.services.machinery.kinds.services import (
    Endpoint,
    EndpointAddress,
    EndpointConditions,
    Endpoints,
    EndpointSlice,
    EndpointSubset,
)


def lay_out(
    family: str,
    grouped: Mapping[Ports, Mapping[str, Endpoint]],
    present: Sequence[EndpointSlice],
) -> Layout:
    """One slice for each set of ports, in which endpoints stay where they are."""
    contents: list[Content] = []
    spare = [item for item in present if (item.ports or ()) not in grouped]
    fresh: list[Content] = []
    for ports, found in grouped.items():
        of_ports = [item for item in present if (item.ports or ()) == ports]
        if not of_ports:
            fresh.append(Content(family, ports, tuple(found.values())))
            continue
        first, *others = of_ports
        spare += others
        held = (item.addresses[0] for item in first.endpoints or () if item.addresses)
        order = dict.fromkeys([*(ip for ip in held if ip in found), *found])
        contents.append(Content(family, ports, tuple(found[ip] for ip in order), first))
    for content in fresh:
        reused = spare.pop(0) if spare else None
        contents.append(Content(family, content.ports, content.endpoints, reused))
    return Layout(tuple(contents), tuple(spare))


def grouped(written: Endpoints, family: str, limit: int) -> dict[Ports, dict[str, Endpoint]]:
    """Endpoints of the family by their ports; one told twice counts once, as ready if it can."""
    grouped: dict[Ports, dict[str, Endpoint]] = {}
    for subset in written.subsets or ():
        found = dict[str, Endpoint]()
        for address, ready in islice(_parted(subset), limit):
            if endpoints.family_of(address.ip) == family:
                found.setdefault(address.ip, _endpoint(address, ready=ready))
        if found:
            grouped[subset.ports] = found | grouped.get(subset.ports, {})
    return {ports: dict(islice(found.items(), limit)) for ports, found in grouped.items()}


def _parted(subset: EndpointSubset) -> Iterator[tuple[EndpointAddress, bool]]:
    yield from ((address, True) for address in subset.addresses)
    yield from ((address, False) for address in subset.not_ready_addresses)


def _endpoint(address: EndpointAddress, *, ready: bool) -> Endpoint:
    return Endpoint(
        addresses=(address.ip,),
        conditions=EndpointConditions(ready=ready),
        hostname=address.hostname or None,
        node_name=address.node_name,
        target_ref=address.target_ref,
    )
