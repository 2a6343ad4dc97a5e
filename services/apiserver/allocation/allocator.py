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

from pilothouse.services.apiserver.allocation.pool import Exhausted, Pool, Taken, band
from pilothouse.services.apiserver.allocation.ranges import Addresses
from pilothouse.services.apiserver.requests import Stored
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause, InternalError
from pilothouse.services.machinery.kinds.services import Service

CLUSTER_RANGE = "10.96.0.0/12"
NODE_PORTS = (30000, 32767)
_BAND_PARTS = 32
_BAND_MOST = 128

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
        first, last = node_ports
        kept = band(last - first + 1, _BAND_PARTS, _BAND_MOST)
        self._addresses = Addresses(cluster_range)
        self._ports = Pool(first, last, first + kept)

    def observe_range(self, old: Stored | None, new: Stored | None) -> None:
        """A ServiceCIDR appeared, changed or went; for ``KindCache.subscribe``."""
        self._addresses.observe_range(old, new)

    def observe(self, old: Stored | None, new: Stored | None) -> None:
        """A Service appeared, changed or went; for ``KindCache.subscribe``."""
        held = set(self._held(new)) if new is not None else set()
        for pool, number, uid in held:
            pool.observe(number, uid)
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
            if spec["type"] in _EXTERNAL:
                self._node_ports(claim, spec, uid)
            if spec["type"] == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local":
                self._health_port(claim, spec, uid)
        except Exhausted as error:
            self.undo(claim, uid)
            raise InternalError(f"Internal error occurred: {error}: range is full") from None
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
            number = _choose(claim, self._addresses, uid, "failed to allocate a serviceIP")
            address = str(ipaddress.IPv4Address(number))
        else:
            number = _number(address)
            wrong = ""
            if self._addresses.holder(number) != uid and not self._addresses.may_give(number):
                wrong = self._out_of_range(address, number)
            elif not _take(claim, self._addresses, number, uid):
                wrong = "provided IP is already allocated"
            if wrong:
                detail = f"failed to allocate IP {address}: {wrong}"
                claim.causes.append(names.invalid("spec.clusterIPs", [address], detail))
        spec["clusterIP"], spec["clusterIPs"] = address, [address]

    def _out_of_range(self, address: str, number: int) -> str:
        network = self._addresses.network_of(number) if number >= 0 else ""
        if not network:
            return "the provided network does not match the current range"
        return (
            f"the provided IP ({address}) is not in the valid range. "
            f"The range of valid IPs is {network}"
        )

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
        if not spec.get("allocateLoadBalancerNodePorts", True):
            return
        # One port by several protocols is one port of the node.
        given = {port["port"]: port["nodePort"] for port in ports if port.get("nodePort")}
        for port in ports:
            if not port.get("nodePort"):
                number = given.get(port["port"])
                if number is None:
                    number = _choose(claim, self._ports, uid, "failed to allocate a nodePort")
                port["nodePort"] = given[port["port"]] = number

    def _health_port(self, claim: Claim, spec: dict[str, Any], uid: str) -> None:
        """Where balancers ask a node whether it has endpoints of its own."""
        number = spec.get("healthCheckNodePort")
        if not number:
            why = "failed to allocate a HealthCheck NodePort 0"
            spec["healthCheckNodePort"] = _choose(claim, self._ports, uid, why)
        elif number not in self._ports or not _take(claim, self._ports, number, uid):
            detail = f"failed to allocate requested HealthCheck NodePort {number}"
            claim.causes.append(names.invalid("spec.healthCheckNodePort", number, detail))

    def _held(self, stored: Stored) -> Iterator[tuple[Pool, int, str]]:
        service = _service.decode(stored.json)
        uid = service.metadata.uid
        number = _number(service.spec.cluster_ip)
        if number > 0:
            yield self._addresses, number, uid
        taken = [port.node_port for port in service.spec.ports]
        for number in (*taken, service.spec.health_check_node_port):
            if number in self._ports:
                yield self._ports, number, uid


def _choose(claim: Claim, pool: Pool, uid: str, why: str) -> int:
    """Any free number; Exhausted with ``why`` when there is none."""
    try:
        number = pool.choose(uid)
    except Exhausted:
        raise Exhausted(why) from None
    claim.taken.append((pool, number))
    return number


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
