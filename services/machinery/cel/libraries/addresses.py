"""IP addresses, CIDR blocks and URLs."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, unquote

from typing_extensions import override

from pilothouse.services.machinery.cel.declarations import declare
from pilothouse.services.machinery.cel.errors import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Callable

DECLARATIONS = declare("""
string_to_ip: ip(string) -> net.IP
cidr_ip: net.CIDR .ip() -> net.IP
ip_is_canonical: ip.isCanonical(string) -> bool
ip_family: net.IP .family() -> int
ip_is_unspecified: net.IP .isUnspecified() -> bool
ip_is_loopback: net.IP .isLoopback() -> bool
ip_is_link_local_multicast: net.IP .isLinkLocalMulticast() -> bool
ip_is_link_local_unicast: net.IP .isLinkLocalUnicast() -> bool
ip_is_global_unicast: net.IP .isGlobalUnicast() -> bool
is_ip: isIP(string) -> bool
ip_to_string: string(net.IP) -> string
string_to_cidr: cidr(string) -> net.CIDR
cidr_contains_ip_string: net.CIDR .containsIP(string) -> bool
cidr_contains_ip_ip: net.CIDR .containsIP(net.IP) -> bool
cidr_contains_cidr_string: net.CIDR .containsCIDR(string) -> bool
cidr_contains_cidr: net.CIDR .containsCIDR(net.CIDR) -> bool
cidr_prefix_length: net.CIDR .prefixLength() -> int
cidr_masked: net.CIDR .masked() -> net.CIDR
is_cidr: isCIDR(string) -> bool
cidr_to_string: string(net.CIDR) -> string
string_to_url: url(string) -> kubernetes.URL
url_get_scheme: kubernetes.URL .getScheme() -> string
url_get_host: kubernetes.URL .getHost() -> string
url_get_hostname: kubernetes.URL .getHostname() -> string
url_get_port: kubernetes.URL .getPort() -> string
url_get_escaped_path: kubernetes.URL .getEscapedPath() -> string
url_get_query: kubernetes.URL .getQuery() -> map(string, list(string))
is_url_string: isURL(string) -> bool
""")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_IPV4_PARTS, _BITS_DIGITS = 4, 3
_BROADCAST = ipaddress.IPv4Address("255.255.255.255")
_LOCAL_MULTICAST = (ipaddress.IPv4Network("224.0.0.0/24"), ipaddress.IPv6Network("ff02::/16"))


class IP:
    """An address of either family."""

    __slots__ = ("address",)

    type_name = "net.IP"
    unit_equality = True

    def __init__(self, address: Address) -> None:
        self.address = address

    @property
    def cost_size(self) -> int:
        """The size in bytes that costs count."""
        return len(self.address.packed)

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, IP) and other.address == self.address

    @override
    def __hash__(self) -> int:
        return hash(self.address)


class CIDR:
    """An address, host bits included, with the length of a prefix."""

    __slots__ = ("address", "bits")

    type_name = "net.CIDR"
    unit_equality = True

    def __init__(self, address: Address, bits: int) -> None:
        self.address = address
        self.bits = bits

    @property
    def cost_size(self) -> int:
        """The size in bytes of the prefix, that costs count."""
        return -(-self.bits // 8)

    def contains(self, address: Address) -> bool:
        """Whether the address is of the same family and prefix."""
        shift = self.address.max_prefixlen - self.bits
        return (
            address.version == self.address.version
            and int(address) >> shift == int(self.address) >> shift
        )

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, CIDR) and (other.address, other.bits) == (self.address, self.bits)

    @override
    def __hash__(self) -> int:
        return hash((self.address, self.bits))


def _address(text: str) -> Address:
    try:
        if "%" in text:
            raise EvaluationError(f'IP address "{text}" with zone value is not allowed')
        address = ipaddress.ip_address(text)
    except ValueError:
        raise EvaluationError(
            f'IP Address "{text}" parse error during conversion from string: '
            f'ParseAddr("{text}"): {_wrong(text)}'
        ) from None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        raise EvaluationError(f'IPv4-mapped IPv6 address "{text}" is not allowed')
    return address


def _wrong(text: str) -> str:
    parts = text.split(".")
    if ":" not in text and len(parts) > _IPV4_PARTS and all(part.isdigit() for part in parts):
        return "IPv4 address too long"
    return "unable to parse IP"


def _cidr(text: str) -> CIDR:
    host, slash, bits = text.rpartition("/")
    if not slash:
        raise _prefix_error(text, "no '/'")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise _prefix_error(text, f'ParseAddr("{host}"): unable to parse IP') from None
    if "%" in host:
        raise _prefix_error(text, "IPv6 zones cannot be present in a prefix")
    number = bits.isascii() and bits.isdigit() and (bits == "0" or bits[0] != "0")
    if not number:
        raise _prefix_error(text, f'bad bits after slash: "{bits}"')
    if len(bits) > _BITS_DIGITS or int(bits) > address.max_prefixlen:
        raise _prefix_error(text, "prefix length out of range")
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        raise EvaluationError(f'IPv4-mapped IPv6 address "{text}" is not allowed')
    return CIDR(address, int(bits))


def _prefix_error(text: str, reason: str) -> EvaluationError:
    once = "network address parse error during conversion from string: "
    return EvaluationError(f'{once}{once}netip.ParsePrefix("{text}"): {reason}')


def _is(parse: Callable[[str], object]) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            parse(text)
        except EvaluationError:
            return False
        return True

    return check


def _global_unicast(ip: IP) -> bool:
    a = ip.address
    return not (
        a.is_unspecified or a == _BROADCAST or a.is_loopback or a.is_multicast or a.is_link_local
    )


def _masked(cidr: CIDR) -> CIDR:
    shift = cidr.address.max_prefixlen - cidr.bits
    return CIDR(type(cidr.address)(int(cidr.address) >> shift << shift), cidr.bits)


def _within(cidr: CIDR, other: CIDR) -> bool:
    return cidr.bits <= other.bits and cidr.contains(other.address)


class URL:
    """An absolute URI or an absolute path, split but not decoded."""

    __slots__ = ("host", "path", "query", "scheme", "text")

    type_name = "kubernetes.URL"
    unit_equality = True

    def __init__(self, text: str) -> None:
        self.text = text
        rest = text.partition("#")[0]
        match = _SCHEME.match(rest)
        self.scheme = match[1].lower() if match else ""
        rest = rest[match.end() :] if match else rest
        rest, _, self.query = rest.partition("?")
        self.host = ""
        if match and rest.startswith("//"):
            authority, slash, path = rest[2:].partition("/")
            self.host, rest = authority.rpartition("@")[2], slash + path
        # What follows the scheme without a slash is opaque.
        self.path = rest if rest.startswith("/") else ""

    @property
    def port(self) -> str:
        """The digits after the host's colon."""
        found = _PORT.search(self.host)
        return found[1] if found else ""

    @property
    def hostname(self) -> str:
        """The host without port and brackets."""
        host = _PORT.sub("", self.host) if _PORT.search(self.host) else self.host
        return host[1:-1] if host.startswith("[") and host.endswith("]") else host

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, URL) and other.text == self.text

    @override
    def __hash__(self) -> int:
        return hash(self.text)


_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*):")
_PORT = re.compile(r":(\d*)$", re.ASCII)
_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2}).{0,2}", re.DOTALL)
_HOST = re.compile(
    r"(?:\[[0-9a-fA-F:.]+(?:%25[^\]]*)?\]|(?:[^\[\]\s<>\"^`{|}\\:/?#]|%[0-9a-fA-F]{2})*)(?P<port>:[^:]*)?"
)


def _url_error(text: str, reason: str) -> EvaluationError:
    return EvaluationError(
        f'URL parse error during conversion from string: parse "{text}": {reason}'
    )


def _url(text: str) -> URL:
    if any(ord(c) < ord(" ") or c == "\x7f" for c in text):
        raise _url_error(text, "net/url: invalid control character in URL")
    if not text:
        raise _url_error(text, "empty url")
    if text.startswith(":"):
        raise _url_error(text, "missing protocol scheme")
    match = _SCHEME.match(text)
    if match is None and not text.startswith("/"):
        raise _url_error(text, "invalid URI for request")
    url = URL(text)
    bad = _ESCAPE.search(url.path) or _ESCAPE.search(url.host)
    if bad:
        raise _url_error(text, f'invalid URL escape "{bad[0]}"')
    host = _HOST.fullmatch(url.host)
    if host is None:
        raise _url_error(text, "invalid character in host name")
    port = host["port"] or ":"
    if not (port[1:] == "" or (port[1:].isascii() and port[1:].isdigit())):
        raise _url_error(text, f'invalid port "{port}" after host')
    return url


def _query(url: URL) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key, value in parse_qsl(url.query, keep_blank_values=True):
        found.setdefault(key, []).append(value)
    return found


def _escaped_path(url: URL) -> str:
    return quote(url.path, safe="/%:@!$&'()*+,;=-._~")


IMPLEMENTATIONS: dict[str, Callable[..., Any]] = {
    "string_to_ip": lambda text: IP(_address(text)),
    "cidr_ip": lambda cidr: IP(cidr.address),
    "ip_is_canonical": lambda text: str(_address(text)) == text,
    "ip_family": lambda ip: ip.address.version,
    "ip_is_unspecified": lambda ip: ip.address.is_unspecified,
    "ip_is_loopback": lambda ip: ip.address.is_loopback,
    "ip_is_link_local_multicast": lambda ip: any(ip.address in net for net in _LOCAL_MULTICAST),
    "ip_is_link_local_unicast": lambda ip: ip.address.is_link_local,
    "ip_is_global_unicast": _global_unicast,
    "is_ip": _is(_address),
    "ip_to_string": lambda ip: str(ip.address),
    "string_to_cidr": _cidr,
    "cidr_contains_ip_string": lambda cidr, text: cidr.contains(_address(text)),
    "cidr_contains_ip_ip": lambda cidr, ip: cidr.contains(ip.address),
    "cidr_contains_cidr_string": lambda cidr, text: _within(cidr, _cidr(text)),
    "cidr_contains_cidr": _within,
    "cidr_prefix_length": lambda cidr: cidr.bits,
    "cidr_masked": _masked,
    "is_cidr": _is(_cidr),
    "cidr_to_string": lambda cidr: f"{cidr.address}/{cidr.bits}",
    "string_to_url": _url,
    "url_get_scheme": lambda url: url.scheme,
    "url_get_host": lambda url: unquote(url.host),
    "url_get_hostname": lambda url: unquote(url.hostname),
    "url_get_port": lambda url: url.port,
    "url_get_escaped_path": _escaped_path,
    "url_get_query": _query,
    "is_url_string": _is(_url),
}
