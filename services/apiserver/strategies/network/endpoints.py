"""Endpoints, and EndpointSlices after them."""

import json
from collections.abc import Iterable

from pilothouse.services.apiserver.strategies.network.addresses import check_public_address
from pilothouse.services.apiserver.strategies.strategy import Body, Strategy, immutable
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause
from pilothouse.services.machinery.kinds import endpoints

ENDPOINTS_MAX = 1000
PORTS_MAX = 20_000
ADDRESSES_MAX = 100
HINTS_MAX = 8
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_TYPES = ("FQDN", "IPv4", "IPv6")


def _default(body: Body) -> None:
    for subset in body.get("subsets") or ():
        for port in subset.get("ports") or ():
            if not port.get("protocol"):
                port["protocol"] = "TCP"
    if body.get("subsets") and not _check(body):
        body["subsets"] = _repacked(body["subsets"])


def _repacked(subsets: Iterable[Body]) -> list[Body]:
    """Ports that the same addresses have are in one subset, addresses in their order."""
    known: dict[endpoints.Who, Body] = {}
    ports: dict[str, Body] = {}
    told: list[tuple[str, endpoints.Who, bool]] = []
    for subset in subsets:
        named = {_text(port): port for port in subset.get("ports") or ()} or {"": {}}
        ports |= named
        for member, ready in (("addresses", True), ("notReadyAddresses", False)):
            for address in subset.get(member) or ():
                who = (address["ip"], (address.get("targetRef") or {}).get("uid", ""))
                known.setdefault(who, address)
                told += [(port, who, ready) for port in named]
    return [
        {
            member: found
            for member, found in (
                ("addresses", [known[who] for who in ready]),
                ("notReadyAddresses", [known[who] for who in unready]),
                ("ports", [ports[port] for port in listed if port]),
            )
            if found
        }
        for ready, unready, listed in endpoints.repacked(told)
    ]


def _text(port: Body) -> str:
    return json.dumps(port, sort_keys=True)


def _check(body: Body) -> list[Cause]:
    causes: list[Cause] = []
    for index, subset in enumerate(body.get("subsets") or ()):
        where = f"subsets[{index}]"
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            detail = "must specify `addresses` or `notReadyAddresses`"
            causes.append(names.required(where, detail))
        for member in ("addresses", "notReadyAddresses"):
            for number, address in enumerate(subset.get(member) or ()):
                causes += _address(address, f"{where}.{member}[{number}]")
        ports = subset.get("ports") or []
        for number, port in enumerate(ports):
            causes += _port(port, f"{where}.ports[{number}]", named=len(ports) > 1)
    return causes


def _address(address: Body, where: str) -> list[Cause]:
    causes = check_public_address(address.get("ip", ""), f"{where}.ip")
    if address.get("hostname"):
        causes += names.check(names.label, address["hostname"], f"{where}.hostname")
    if address.get("nodeName") is not None:
        causes += names.check(names.subdomain, address["nodeName"], f"{where}.nodeName")
    return causes


def _port(port: Body, where: str, *, named: bool) -> list[Cause]:
    name = port.get("name", "")
    causes: list[Cause] = []
    if name:
        causes += names.check(names.label, name, f"{where}.name")
    elif named:
        causes.append(names.required(f"{where}.name"))
    causes += names.check_port(port.get("port", 0), f"{where}.port")
    if port.get("protocol") not in _PROTOCOLS:
        protocol = port.get("protocol", "")
        causes.append(names.unsupported(f"{where}.protocol", protocol, _PROTOCOLS))
    if port.get("appProtocol") is not None:
        causes += names.check(names.qualified, port["appProtocol"], f"{where}.appProtocol")
    return causes


def _default_slice(body: Body) -> None:
    for port in body.get("ports") or ():
        port.setdefault("name", "")
        if not port.get("protocol"):
            port["protocol"] = "TCP"


def _check_slice(body: Body) -> list[Cause]:
    kind = body.get("addressType", "")
    causes: list[Cause] = []
    if not kind:
        causes.append(names.required("addressType"))
    elif kind not in _TYPES:
        causes.append(names.unsupported("addressType", kind, _TYPES))
    endpoints, ports = body.get("endpoints") or [], body.get("ports") or []
    if len(endpoints) > ENDPOINTS_MAX:
        return [*causes, names.too_many("endpoints", len(endpoints), ENDPOINTS_MAX)]
    for index, endpoint in enumerate(endpoints):
        causes += _endpoint(endpoint, kind, f"endpoints[{index}]")
    if len(ports) > PORTS_MAX:
        return [*causes, names.too_many("ports", len(ports), PORTS_MAX)]
    return causes + _slice_ports(ports)


def _endpoint(endpoint: Body, kind: str, where: str) -> list[Cause]:
    causes: list[Cause] = []
    addresses = endpoint.get("addresses") or []
    if not addresses:
        causes.append(names.required(f"{where}.addresses", "must contain at least 1 address"))
    elif len(addresses) > ADDRESSES_MAX:
        causes.append(names.too_many(f"{where}.addresses", len(addresses), ADDRESSES_MAX))
    for index, address in enumerate(addresses):
        field = f"{where}.addresses[{index}]"
        if kind == "FQDN":
            causes += names.check(names.subdomain, address, field)
        else:
            causes += _of_family(address, kind, field)
    if endpoint.get("nodeName") is not None:
        causes += names.check(names.subdomain, endpoint["nodeName"], f"{where}.nodeName")
    if endpoint.get("hostname") is not None:
        causes += names.check(names.label, endpoint["hostname"], f"{where}.hostname")
    causes += _hints(endpoint.get("hints") or {}, f"{where}.hints")
    topology = endpoint.get("deprecatedTopology") or {}
    causes += names.check_labels(topology, f"{where}.deprecatedTopology")
    if "kubernetes.io/hostname" in topology:
        detail = "hostname label should not be specified, use nodeName instead"
        field = f"{where}.deprecatedTopology[kubernetes.io/hostname]"
        causes.append(names.forbidden(field, detail))
    return causes


def _of_family(address: str, kind: str, field: str) -> list[Cause]:
    causes = check_public_address(address, field)
    if causes or kind not in ("IPv4", "IPv6"):
        return causes
    if (":" in address) != (kind == "IPv6"):
        return [names.invalid(field, address, f"must be an {kind} address")]
    return []


def _hints(hints: Body, path: str) -> list[Cause]:
    causes: list[Cause] = []
    for member in ("forZones", "forNodes"):
        given = hints.get(member) or []
        if len(given) > HINTS_MAX:
            causes.append(names.too_many(f"{path}.{member}", len(given), HINTS_MAX))
        seen: set[str] = set()
        for index, item in enumerate(given):
            field, name = f"{path}.{member}[{index}].name", item.get("name", "")
            if name in seen:
                causes.append(names.duplicate(field, name))
            seen.add(name)
            causes += names.check(names.label_value, name, field)
    return causes


def _slice_ports(ports: Iterable[Body]) -> list[Cause]:
    causes: list[Cause] = []
    seen: set[str] = set()
    for index, port in enumerate(ports):
        where, name = f"ports[{index}]", port.get("name", "")
        if name:
            causes += names.check(names.label, name, f"{where}.name")
        if name in seen:
            causes.append(names.duplicate(f"{where}.name", name))
        seen.add(name)
        if port.get("protocol") not in _PROTOCOLS:
            protocol = port.get("protocol", "")
            causes.append(names.unsupported(f"{where}.protocol", protocol, _PROTOCOLS))
        if port.get("port") is not None:
            causes += names.check_port(port["port"], f"{where}.port")
        if port.get("appProtocol") is not None:
            causes += names.check(names.qualified, port["appProtocol"], f"{where}.appProtocol")
    return causes


def _check_slice_update(new: Body, old: Body) -> list[Cause]:
    value = new.get("addressType")
    return immutable("addressType", value, value, old.get("addressType"))


ENDPOINTS = Strategy(default=_default, check=_check)
ENDPOINT_SLICE = Strategy(_default_slice, _check_slice, _check_slice_update)
