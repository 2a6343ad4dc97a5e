"""The subsets of an Endpoints object: ports that the same addresses have are in one."""

import math
from collections.abc import Sequence

from msgspec import structs

from pilothouse.services.machinery.kinds import endpoints, pods, services
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.kinds.services import (
    EndpointAddress,
    EndpointPort,
    EndpointSubset,
    Service,
)


def of(service: Service, found: Sequence[Pod]) -> tuple[EndpointSubset, ...]:
    """Of the pods, those that are ready beside those that are not; in the order of addresses."""
    family = endpoints.families(service)[0]
    published = service.spec.publish_not_ready_addresses
    portless = not service.spec.ports and services.is_headless(service)
    known: dict[endpoints.Who, EndpointAddress] = {}
    told: list[tuple[EndpointPort | None, endpoints.Who, bool]] = []
    for pod in found:
        addressed = endpoints.addresses(pod, family)
        if not addressed or (pod.metadata.deleting and not published):
            continue
        who = (addressed[0], pod.metadata.uid)
        known[who] = _address(service, pod, addressed[0])
        ready = published or pods.is_ready(pod)
        ports = (None,) if portless else endpoints.ports(service, pod)
        told += [(port, who, ready) for port in ports]
    return tuple(
        EndpointSubset(
            addresses=tuple(known[who] for who in ready),
            not_ready_addresses=tuple(known[who] for who in unready),
            ports=tuple(port for port in ports if port is not None),
        )
        for ready, unready, ports in endpoints.repacked(told)
    )


def cut(whole: tuple[EndpointSubset, ...], limit: int) -> tuple[EndpointSubset, ...]:
    """At most ``limit`` addresses, ready ones first, of each subset as many as is its part."""
    ready = sum(len(item.addresses) for item in whole)
    unready = sum(len(item.not_ready_addresses) for item in whole)
    if ready + unready <= limit:
        return whole
    if ready > limit:
        shares = _shares([len(item.addresses) for item in whole], limit)
        parts = (
            structs.replace(item, addresses=item.addresses[:share], not_ready_addresses=())
            for item, share in zip(whole, shares, strict=True)
        )
    else:
        shares = _shares([len(item.not_ready_addresses) for item in whole], limit - ready)
        parts = (
            structs.replace(item, not_ready_addresses=item.not_ready_addresses[:share])
            for item, share in zip(whole, shares, strict=True)
        )
    return tuple(item for item in parts if item.addresses or item.not_ready_addresses)


def _shares(sizes: Sequence[int], limit: int) -> list[int]:
    """Rounded up; the last ones may have less."""
    total, left, shares = sum(sizes), limit, []
    for size in sizes:
        share = min(math.ceil(size * limit / total), size, left)
        shares.append(share)
        left -= share
    return shares


def _address(service: Service, pod: Pod, ip: str) -> EndpointAddress:
    named = pod.spec.hostname and pod.spec.subdomain == service.metadata.name
    return EndpointAddress(
        ip=ip,
        hostname=pod.spec.hostname if named else "",
        node_name=pod.spec.node_name or None,
        target_ref=endpoints.target(pod),
    )
