"""Where ``…/proxy`` of a pod, Service or node leads. Pure.

An address comes from what the cluster itself recorded, never from the request, and loopback,
link-local and multicast are refused: nobody reaches the control plane's own host through it.
"""

import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pilothouse.services.machinery.errors import BadRequest, ServiceUnavailable

Document = dict[str, Any]
PORT_MAX = 65535
_SCHEMES = frozenset({"", "http", "https"})


@dataclass(frozen=True, slots=True)
class Name:
    """``[scheme:]name[:port]``; ``port`` is a number, a name or empty."""

    scheme: str
    name: str
    port: str


@dataclass(frozen=True, slots=True)
class Destination:
    """A host by address; ``kubelet`` names the node whose kubelet must answer there."""

    scheme: str
    host: str
    port: int = 0
    kubelet: str = ""

    @property
    def authority(self) -> str:
        """``host[:port]`` as URLs have it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}" if self.port else host

    @property
    def dialled(self) -> int:
        """The port, or the scheme's own."""
        return self.port or (443 if self.scheme == "https" else 80)


def split(text: str, kind: str) -> Name:
    """The parts of a name; BadRequest with the real server's words on any other form."""
    parts = text.split(":")
    match parts:
        case [name]:
            found = Name("", name, "")
        case [name, port]:
            found = Name("", name, port)
        case [scheme, name, port]:
            found = Name(scheme, name, port)
        case _:
            found = Name("", "", "")
    if not found.name or found.scheme not in _SCHEMES:
        raise BadRequest(f'invalid {kind} request "{text}"')
    return found


def of_pod(name: Name, pod: Document) -> Destination:
    """The pod's address; without a port that of its first container port."""
    port = _number(name.port) if name.port else _first_port(pod)
    ips = (pod.get("status") or {}).get("podIPs") or ()
    address = ips[0].get("ip", "") if ips else (pod.get("status") or {}).get("podIP", "")
    return Destination(name.scheme or "http", _allowed(address), port)


def of_service(
    name: Name,
    service: Document,
    endpoints: Document,
    addresses_of: Callable[[Document], Sequence[str]],
    choose: Callable[[int], int],
) -> Destination:
    """One ready endpoint behind the port; ``choose`` picks a number below what it is given.

    ``addresses_of`` tells the addresses of the pod that an endpoint refers to: an address that
    is no pod's is passed over.

    Raises:
        ServiceUnavailable: no such port, or nothing behind it.
    """
    wanted = name.port
    if wanted.isdecimal():
        ports = (service.get("spec") or {}).get("ports") or ()
        named = [port.get("name", "") for port in ports if port.get("port") == int(wanted)]
        if not named:
            raise ServiceUnavailable(
                f'no service port {int(wanted)} found for service "{name.name}"'
            )
        wanted = named[0]
    found = [
        (address["ip"], port["port"])
        for subset in endpoints.get("subsets") or ()
        for port in subset.get("ports") or ()
        if port.get("name", "") == wanted
        for address in subset.get("addresses") or ()
        if address["ip"] in addresses_of(address.get("targetRef") or {})
    ]
    if not found:
        raise ServiceUnavailable(f'no endpoints available for service "{name.name}"')
    address, number = found[choose(len(found))]
    return Destination(name.scheme or "http", _allowed(address), number)


def of_node(name: Name, address: str, kubelet_port: int) -> Destination:
    """The node's kubelet, or another port of the node; port 0: nobody listens, it is simulated."""
    if not kubelet_port:
        raise ServiceUnavailable(f'node "{name.name}" serves nothing: its kubelet tells no port')
    port = _number(name.port) if name.port else kubelet_port
    if port == kubelet_port:
        return Destination("https", address, port, kubelet=name.name)
    return Destination(name.scheme or "http", _allowed(address), port)


def _first_port(pod: Document) -> int:
    containers = (pod.get("spec") or {}).get("containers") or ()
    ports = (port for container in containers for port in container.get("ports") or ())
    return next((port["containerPort"] for port in ports if port.get("containerPort")), 0)


def _number(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= PORT_MAX:
        raise BadRequest(f"invalid port {text!r}")
    return int(text)


def _allowed(address: str) -> str:
    """``address`` itself; BadRequest unless it is an ordinary unicast address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        raise BadRequest("address not allowed") from None
    refused = parsed.is_loopback or parsed.is_link_local or parsed.is_multicast
    if refused or parsed.is_unspecified or address == "255.255.255.255":
        raise BadRequest("address not allowed")
    return address
