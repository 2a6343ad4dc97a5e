"""The columns of Services, what stands behind them and what lies before them."""

from collections.abc import Iterator

from pilothouse.services.apiserver.rest.tables.column import (
    AGE,
    NAME,
    NONE,
    UNSET,
    Column,
    Document,
    at,
    field,
    first_few,
    pairs,
    selector,
)


def _cluster_ip(service: Document, now: float) -> str:
    del now
    addresses = at(service, "spec.clusterIPs") or ()
    return str(addresses[0] if addresses else at(service, "spec.clusterIP") or NONE)


def _external_ip(service: Document, now: float) -> str:
    del now
    kind = at(service, "spec.type") or "ClusterIP"
    if kind == "ExternalName":
        return str(at(service, "spec.externalName") or NONE)
    own = list(at(service, "spec.externalIPs") or ())
    if kind == "LoadBalancer":
        given = at(service, "status.loadBalancer.ingress") or ()
        own = [item.get("ip") or item.get("hostname", "") for item in given] + own
        return ",".join(own) or "<pending>"
    return ",".join(own) or NONE


def _service_ports(service: Document, now: float) -> str:
    del now
    shown = []
    for port in at(service, "spec.ports") or ():
        published = f":{port['nodePort']}" if port.get("nodePort") else ""
        shown.append(f"{port.get('port')}{published}/{port.get('protocol', 'TCP')}")
    return ",".join(shown) or NONE


SERVICES = (
    NAME,
    Column("Type", field("spec.type", "ClusterIP")),
    Column("Cluster-IP", _cluster_ip),
    Column("External-IP", _external_ip),
    Column("Port(s)", _service_ports),
    AGE,
    Column("Selector", pairs("spec.selector"), wide=True),
)


def _endpoint_addresses(endpoints: Document) -> Iterator[str]:
    for subset in at(endpoints, "subsets") or ():
        addresses = subset.get("addresses") or ()
        ports = subset.get("ports") or ()
        if not ports:
            yield from (address.get("ip", "") for address in addresses)
        for port in ports:
            for address in addresses:
                ip = address.get("ip", "")
                yield f"[{ip}]:{port.get('port')}" if ":" in ip else f"{ip}:{port.get('port')}"


def _endpoints(endpoints: Document, now: float) -> str:
    del now
    return first_few(_endpoint_addresses(endpoints)) or NONE


ENDPOINTS = (NAME, Column("Endpoints", _endpoints), AGE)


def _slice_ports(document: Document, now: float) -> str:
    del now
    ports = at(document, "ports") or ()
    return first_few(str(port.get("port") or "*") for port in ports) or UNSET


def _slice_endpoints(document: Document, now: float) -> str:
    del now
    endpoints = at(document, "endpoints") or ()
    addresses = (endpoint["addresses"][0] for endpoint in endpoints if endpoint.get("addresses"))
    return first_few(addresses) or UNSET


ENDPOINT_SLICES = (
    NAME,
    Column("AddressType", field("addressType")),
    Column("Ports", _slice_ports),
    Column("Endpoints", _slice_endpoints),
    AGE,
)


def _hosts(ingress: Document, now: float) -> str:
    del now
    rules = at(ingress, "spec.rules") or ()
    return first_few(rule.get("host") for rule in rules if rule.get("host")) or "*"


def _ingress_address(ingress: Document, now: float) -> str:
    del now
    given = at(ingress, "status.loadBalancer.ingress") or ()
    return ",".join(item.get("ip") or item.get("hostname", "") for item in given)


INGRESSES = (
    NAME,
    Column("Class", field("spec.ingressClassName", NONE)),
    Column("Hosts", _hosts),
    Column("Address", _ingress_address),
    Column("Ports", lambda ingress, now: "80, 443" if at(ingress, "spec.tls") else "80"),
    AGE,
)


def _parameters(ingress_class: Document, now: float) -> str:
    del now
    reference = at(ingress_class, "spec.parameters")
    if not reference:
        return NONE
    group = reference.get("apiGroup")
    kind = reference.get("kind", "")
    return f"{kind}.{group}/{reference.get('name')}" if group else f"{kind}/{reference.get('name')}"


INGRESS_CLASSES = (
    NAME,
    Column("Controller", field("spec.controller")),
    Column("Parameters", _parameters),
    AGE,
)

NETWORK_POLICIES = (NAME, Column("Pod-Selector", selector("spec.podSelector")), AGE)


def _parent(address: Document, now: float) -> str:
    del now
    parent = at(address, "spec.parentRef") or {}
    group = parent.get("group")
    named = f"{parent.get('resource', '')}.{group}" if group else parent.get("resource", "")
    return "/".join(part for part in (named, parent.get("namespace"), parent.get("name")) if part)


IP_ADDRESSES = (NAME, Column("ParentRef", _parent), AGE)
SERVICE_CIDRS = (
    NAME,
    Column("CIDRs", lambda cidr, now: ",".join(at(cidr, "spec.cidrs") or ())),
    AGE,
)
