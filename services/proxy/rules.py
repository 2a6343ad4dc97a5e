"""What a Service means on this node: per port, who answers and under which policies."""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from pilothouse.services.machinery.kinds.services import (
    Endpoint,
    EndpointPort,
    EndpointSlice,
    Service,
    ServicePort,
    is_headless,
)
from pilothouse.services.proxy import topology
from pilothouse.services.proxy.topology import Place

PROTOCOLS = {"TCP": "tcp", "UDP": "udp", "SCTP": "sctp"}

# Names become part of the table's text, so the ones that the API would not accept stay out.
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


class Backend(NamedTuple):
    """One endpoint: an IPv4 address and a port."""

    address: str
    port: int


@dataclass(frozen=True, slots=True, order=True)
class PortRule:
    """One port of one Service.

    ``endpoints`` are the cluster's usable ones, as far as they are meant for this node, ``local``
    those on this node; both sorted.
    ``affinity_seconds`` is 0 without ClientIP affinity; ``node_port`` 0 when there is none.
    """

    namespace: str
    service: str
    port_name: str
    protocol: str
    cluster_ip: str
    port: int
    node_port: int = 0
    external_ips: tuple[str, ...] = ()
    endpoints: tuple[Backend, ...] = ()
    local: tuple[Backend, ...] = ()
    affinity_seconds: int = 0
    internal_local: bool = False
    external_local: bool = False


def service_rules(
    service: Service | None, slices: Iterable[EndpointSlice], node: str, zone: str = ""
) -> tuple[PortRule, ...]:
    """The rules of ``service`` as seen from ``node``; none for headless and ExternalName ones.

    ``zone`` is that of the node, empty where it has none.
    """
    if service is None or not _has_address(service):
        return ()
    slices = [item for item in slices if item.address_type == "IPv4"]
    return tuple(
        _port_rule(service, port, slices, Place(node, zone))
        for port in service.spec.ports
        if port.protocol in PROTOCOLS
    )


def _has_address(service: Service) -> bool:
    metadata, spec = service.metadata, service.spec
    named = _LABEL.fullmatch(metadata.namespace) and _LABEL.fullmatch(metadata.name)
    if not named or is_headless(service) or spec.type == "ExternalName":
        return False
    return _is_ipv4(spec.cluster_ip)


def _port_rule(
    service: Service, port: ServicePort, slices: list[EndpointSlice], place: Place
) -> PortRule:
    spec = service.spec
    everywhere, local = _backends(port, slices, place)
    return PortRule(
        namespace=service.metadata.namespace,
        service=service.metadata.name,
        port_name=port.name,
        protocol=PROTOCOLS[port.protocol],
        cluster_ip=spec.cluster_ip,
        port=port.port,
        node_port=port.node_port if spec.type in {"NodePort", "LoadBalancer"} else 0,
        external_ips=tuple(sorted(filter(_is_ipv4, set(spec.external_ips)))),
        endpoints=everywhere,
        local=local,
        affinity_seconds=_affinity_seconds(service),
        internal_local=spec.internal_traffic_policy == "Local",
        external_local=spec.external_traffic_policy == "Local",
    )


def _affinity_seconds(service: Service) -> int:
    spec = service.spec
    if spec.session_affinity != "ClientIP":
        return 0
    if spec.session_affinity_config is None:
        return 10800
    return spec.session_affinity_config.client_ip.timeout_seconds


def _backends(
    port: ServicePort, slices: list[EndpointSlice], place: Place
) -> tuple[tuple[Backend, ...], tuple[Backend, ...]]:
    """Usable endpoints of the port that are meant for this node, and those on it."""
    named = [
        (endpoint, offered.port)
        for item in slices
        for offered in item.ports or ()
        if offered.port is not None and _same_port(port, offered)
        for endpoint in item.endpoints or ()
    ]
    here = [pair for pair in named if pair[0].node_name == place.node]
    meant = topology.meant((endpoint for endpoint, _ in named), place)
    near = [pair for pair in named if meant(pair[0]) or pair[0].conditions.ready is False]
    return _usable(near), _usable(here)


def _same_port(port: ServicePort, offered: EndpointPort) -> bool:
    return offered.name == port.name and offered.protocol == port.protocol


def _usable(candidates: list[tuple[Endpoint, int]]) -> tuple[Backend, ...]:
    """The ready ones; when there is none, those that still serve while they terminate."""
    ready = {pair for pair in candidates if pair[0].conditions.ready is not False}
    chosen = ready or {
        pair for pair in candidates if pair[0].conditions.terminating and pair[0].conditions.serving
    }
    return tuple(
        sorted(
            {
                Backend(endpoint.addresses[0], port)
                for endpoint, port in chosen
                if endpoint.addresses and _is_ipv4(endpoint.addresses[0])
            }
        )
    )


def _is_ipv4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True
