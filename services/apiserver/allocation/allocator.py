"""Which Service holds which cluster address and which node port.

    create or update ─▶ claim (the document gets its numbers) ─▶ put ─▶ cache ─▶ observe
                          └── refused or failed: undo

The cache is the record: at start every Service is observed, a deleted one gives its numbers back.
"""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from pilothouse.services.apiserver.allocation.pool import Exhausted, Pool, Taken
from pilothouse.services.apiserver.requests import Stored
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause, InternalError
from pilothouse.services.machinery.kinds.services import Service

CLUSTER_RANGE = "10.96.0.0/12"
NODE_PORTS = (30000, 32767)
STATIC_BAND = 256
"""Addresses at the start of the range that are only given to whom asks for them."""

_EXTERNAL = frozenset({"NodePort", "LoadBalancer"})
_service = msgspec.json.Decoder(Service)


@dataclass(slots=True)
class Claim:
    """What a write took that its Service did not hold before, and why it was refused."""

    taken: list[tuple[Pool, int]] = field(default_factory=list)
    causes: list[Cause] = field(default_factory=list)


class Allocator:
    """Holders are uids, so a Service made anew under the same name is another one."""

    def __init__(
        self, cluster_range: str = CLUSTER_RANGE, node_ports: tuple[int, int] = NODE_PORTS
    ) -> None:
        network = ipaddress.IPv4Network(cluster_range)
        first = int(network.network_address) + 1
        last = int(network.broadcast_address) - 1
        free = first + STATIC_BAND if last - first > 2 * STATIC_BAND else first
        self._network = network
        self._addresses = Pool(first, last, free)
        self._ports = Pool(*node_ports)

    def observe(self, old: Stored | None, new: Stored | None) -> None:
        """A Service appeared, changed or went; for ``KindCache.subscribe``."""
        held = set(self._held(new)) if new is not None else set()
        for pool, number, uid in held:
            try:
                pool.take(number, uid)
            except Taken:
                # Two stored Services share it: the first keeps it, as in the store.
                continue
        for pool, number, uid in self._held(old) if old is not None else ():
            if (pool, number, uid) not in held:
                pool.release(number, uid)

    def claim(self, document: dict[str, Any]) -> Claim:
        """Take what ``document`` names and give it what it lacks; look at ``causes`` after."""
        claim = Claim()
        spec, uid = document["spec"], document["metadata"]["uid"]
        try:
            if spec["type"] != "ExternalName":
                self._address(claim, spec, uid)
            if spec["type"] in _EXTERNAL and spec.get("allocateLoadBalancerNodePorts", True):
                self._node_ports(claim, spec, uid)
            if spec["type"] == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local":
                self._health_port(claim, spec, uid)
        except Exhausted:
            self.undo(claim, uid)
            raise InternalError("no address or node port is free in the range") from None
        return claim

    def is_address(self, pool: Pool) -> bool:
        """Whether the numbers of a pool are cluster addresses; else they are node ports."""
        return pool is self._addresses

    def undo(self, claim: Claim, uid: str) -> None:
        """Give back what the claim took."""
        for pool, number in claim.taken:
            pool.release(number, uid)
        claim.taken.clear()

    def _address(self, claim: Claim, spec: dict[str, Any], uid: str) -> None:
        address = spec.get("clusterIP") or next(iter(spec.get("clusterIPs") or ()), "")
        if address == "None":
            spec["clusterIP"], spec["clusterIPs"] = "None", ["None"]
            return
        if not address:
            number = self._addresses.choose(uid)
            claim.taken.append((self._addresses, number))
            address = str(ipaddress.IPv4Address(number))
        else:
            number = _number(address)
            if number not in self._addresses:
                claim.causes.append(
                    names.invalid(
                        "spec.clusterIPs", address,
                        f"failed to allocate IP {address}: the provided IP ({address}) is not in "
                        f"the valid range. The range of valid IPs is {self._network}",
                    )
                )  # fmt: skip
            elif not _take(claim, self._addresses, number, uid):
                detail = f"failed to allocate IP {address}: provided IP is already allocated"
                claim.causes.append(names.invalid("spec.clusterIPs", address, detail))
        spec["clusterIP"], spec["clusterIPs"] = address, [address]

    def _node_ports(self, claim: Claim, spec: dict[str, Any], uid: str) -> None:
        ports = spec.get("ports") or ()
        for index, port in enumerate(ports):
            number = port.get("nodePort")
            if not number:
                continue
            place = f"spec.ports[{index}].nodePort"
            if number not in self._ports:
                first, last = self._ports.first, self._ports.last
                detail = (
                    "provided port is not in the valid range. The range of valid ports is "
                    f"{first}-{last}"
                )
                claim.causes.append(names.invalid(place, number, detail))
            elif not _take(claim, self._ports, number, uid):
                detail = "provided port is already allocated"
                claim.causes.append(names.invalid(place, number, detail))
        for port in ports:
            if not port.get("nodePort"):
                port["nodePort"] = self._ports.choose(uid)
                claim.taken.append((self._ports, port["nodePort"]))

    def _health_port(self, claim: Claim, spec: dict[str, Any], uid: str) -> None:
        """Where balancers ask a node whether it has endpoints of its own."""
        number = spec.get("healthCheckNodePort")
        if not number:
            spec["healthCheckNodePort"] = number = self._ports.choose(uid)
            claim.taken.append((self._ports, number))
        elif number not in self._ports or not _take(claim, self._ports, number, uid):
            detail = f"failed to allocate requested HealthCheck NodePort {number}"
            claim.causes.append(names.invalid("spec.healthCheckNodePort", number, detail))

    def _held(self, stored: Stored) -> Iterator[tuple[Pool, int, str]]:
        service = _service.decode(stored.json)
        uid = service.metadata.uid
        number = _number(service.spec.cluster_ip)
        if number in self._addresses:
            yield self._addresses, number, uid
        taken = [port.node_port for port in service.spec.ports]
        for number in (*taken, service.spec.health_check_node_port):
            if number in self._ports:
                yield self._ports, number, uid


def _take(claim: Claim, pool: Pool, number: int, uid: str) -> bool:
    """Whether the Service holds it now."""
    try:
        if pool.take(number, uid):
            claim.taken.append((pool, number))
    except Taken:
        return False
    return True


def _number(address: str) -> int:
    """An IPv4 address as a number; -1, which is in no range, when it is none."""
    try:
        return int(ipaddress.IPv4Address(address))
    except ValueError:
        return -1
