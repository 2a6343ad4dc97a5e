"""What runtime and plugins say to each other: configuration in, result or error out."""

import re
from typing import Any

import msgspec
from msgspec import field

VERSION = "1.0.0"
VERSIONS = ("0.3.0", "0.3.1", "0.4.0", "1.0.0")
"""Versions of configuration that the invoker understands."""

INTERFACE_NAME_MAX = 15
_IDENTIFIER = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.\-]*")

INCOMPATIBLE_VERSION = 1
UNSUPPORTED_FIELD = 2
UNKNOWN_CONTAINER = 3
INVALID_ENVIRONMENT = 4
IO_FAILURE = 5
DECODING_FAILURE = 6
INVALID_NETWORK_CONFIG = 7
TRY_AGAIN_LATER = 11
INTERNAL = 999


class CniError(Exception):
    """A plugin's refusal, or ours: ``code`` as the specification numbers them."""

    def __init__(self, code: int, message: str, details: str = "") -> None:
        super().__init__(f"{message}: {details}" if details else message)
        self.code = code
        self.message = message
        self.details = details


class _Spoken(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Base of all messages: immutable, unknown fields are passed over."""


class Interface(_Spoken, frozen=True, kw_only=True):
    """``sandbox`` is the namespace's path; empty for an interface of the host."""

    name: str
    mac: str = ""
    sandbox: str = ""


class Address(_Spoken, frozen=True, kw_only=True):
    """``address`` is a CIDR; ``interface`` an index into the result's interfaces."""

    address: str
    gateway: str = ""
    interface: int | None = None


class Route(_Spoken, frozen=True, kw_only=True):
    dst: str
    gw: str = ""


class Dns(_Spoken, frozen=True, kw_only=True):
    nameservers: tuple[str, ...] = ()
    domain: str = ""
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


class Result(_Spoken, frozen=True, kw_only=True):
    """What ADD made."""

    cni_version: str = VERSION
    interfaces: tuple[Interface, ...] = ()
    ips: tuple[Address, ...] = ()
    routes: tuple[Route, ...] = ()
    dns: Dns = Dns()


class Refusal(_Spoken, frozen=True, kw_only=True):
    """A plugin's error on standard output."""

    code: int = INTERNAL
    msg: str = ""
    details: str = ""


class VersionInfo(_Spoken, frozen=True, kw_only=True):
    """A plugin's answer to VERSION."""

    cni_version: str = VERSION
    supported_versions: tuple[str, ...] = ()


class Network(_Spoken, frozen=True, kw_only=True):
    """A ``conflist``; each plugin's own configuration stays a dict."""

    cni_version: str = VERSION
    name: str = ""
    disable_check: bool = False
    plugins: tuple[dict[str, Any], ...] = ()


class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    """One container on one network. ``capabilities`` is offered to plugins that declare them."""

    container_id: str
    netns: str
    interface: str = "eth0"
    arguments: tuple[tuple[str, str], ...] = ()
    capabilities: dict[str, Any] = field(default_factory=dict)


def parse_network(text: bytes | str) -> Network:
    """A ``conflist``, or a single plugin's ``conf`` as a list of one; CniError when it is wrong."""
    try:
        body = msgspec.json.decode(text)
        if isinstance(body, dict) and "plugins" not in body:
            body = {"cniVersion": body.get("cniVersion", VERSION), "name": body.get("name", ""),
                    "plugins": [body]}  # fmt: skip
        network = msgspec.convert(body, Network)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise CniError(DECODING_FAILURE, "network configuration", str(error)) from None
    validate_network(network)
    return network


def validate_network(network: Network) -> None:
    """CniError on a name, version or plugin type that the specification does not allow."""
    if network.cni_version not in VERSIONS:
        raise CniError(INCOMPATIBLE_VERSION, f"cniVersion {network.cni_version!r} is not spoken")
    if not _IDENTIFIER.fullmatch(network.name):
        raise CniError(INVALID_NETWORK_CONFIG, f"invalid network name {network.name!r}")
    if not network.plugins:
        raise CniError(INVALID_NETWORK_CONFIG, "no plugins")
    for plugin in network.plugins:
        type_ = plugin.get("type")
        if not isinstance(type_, str) or not type_ or "/" in type_ or type_.startswith("."):
            raise CniError(INVALID_NETWORK_CONFIG, f"invalid plugin type {type_!r}")


def validate_attachment(attachment: Attachment) -> None:
    """CniError on names that could not be a container or an interface."""
    if not _IDENTIFIER.fullmatch(attachment.container_id):
        raise CniError(INVALID_ENVIRONMENT, f"invalid container id {attachment.container_id!r}")
    name = attachment.interface
    bad = (
        not name or len(name) > INTERFACE_NAME_MAX or name in {".", ".."}
        or any(character in "/:" or character.isspace() for character in name)
    )  # fmt: skip
    if bad:
        raise CniError(INVALID_ENVIRONMENT, f"invalid interface name {name!r}")


def plugin_input(
    network: Network, plugin: dict[str, Any], attachment: Attachment, previous: Any
) -> bytes:
    """What one plugin reads on standard input."""
    declared = plugin.get("capabilities") or {}
    offered = {name: value for name, value in attachment.capabilities.items() if declared.get(name)}
    body = {key: value for key, value in plugin.items() if key != "capabilities"}
    body |= {"cniVersion": network.cni_version, "name": network.name}
    if offered:
        body["runtimeConfig"] = offered
    if previous is not None:
        body["prevResult"] = previous
    return msgspec.json.encode(body)
