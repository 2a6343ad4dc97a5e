"""Facts about ServiceCIDRs, and the IPAddresses that are given out of them."""

import ipaddress
from collections.abc import Iterable
from typing import TypeAlias

from pilothouse.services.machinery.objects import Metadata, View

RANGE_FINALIZER = "networking.k8s.io/service-cidr-finalizer"
MANAGED_BY = "ipaddress.kubernetes.io/managed-by"
ALLOCATOR = "ipallocator.k8s.io"

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


class RangeSpec(View, frozen=True, kw_only=True):
    cidrs: tuple[str, ...] = ()


class RangeCondition(View, frozen=True, kw_only=True):
    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: str = ""


class RangeStatus(View, frozen=True, kw_only=True):
    conditions: tuple[RangeCondition, ...] = ()


class ServiceRange(View, frozen=True, kw_only=True):
    """A ServiceCIDR."""

    metadata: Metadata = Metadata()
    spec: RangeSpec = RangeSpec()
    status: RangeStatus = RangeStatus()

    @property
    def networks(self) -> tuple[Network, ...]:
        return tuple(map(ipaddress.ip_network, self.spec.cidrs))


class Address(View, frozen=True, kw_only=True):
    """An IPAddress; its name is the address."""

    metadata: Metadata = Metadata()

    @property
    def is_given(self) -> bool:
        """Whether a Service has it, and not some other user of addresses."""
        return self.metadata.labels.get(MANAGED_BY) == ALLOCATOR


def covers(outer: Network, inner: Network) -> bool:
    """Whether every address of one network is the other's as well."""
    return outer.version == inner.version and (
        int(outer.network_address) <= int(inner.network_address)
        and int(inner.broadcast_address) <= int(outer.broadcast_address)
    )


def orphans(
    range_: ServiceRange, others: Iterable[ServiceRange], addresses: Iterable[Address]
) -> bool:
    """Whether addresses of ``range_`` would be in no range without it."""
    beside = [network for other in others for network in other.networks]
    alone = [
        network
        for network in range_.networks
        if not any(covers(other, network) for other in beside)
    ]
    if not alone:
        return False
    for address in addresses:
        if not address.is_given:
            continue
        found = ipaddress.ip_network(address.metadata.name)
        if any(covers(network, found) for network in alone) and not any(
            covers(network, found) for network in beside
        ):
            return True
    return False
