"""Which hosts serve a registry: ``hosts.toml`` below containerd's ``config_path`` directory.

::

    certs.d/docker.io/hosts.toml     server = "https://registry-1.docker.io"
    certs.d/_default/hosts.toml      [host."http://127.0.0.1:5000"]
                                       capabilities = ["pull", "resolve"]
"""

import ipaddress
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

FILE = "hosts.toml"
DEFAULT_DIRECTORY = "_default"
DOCKER = "docker.io"
DOCKER_SERVER = "https://registry-1.docker.io"
CAPABILITIES = frozenset({"pull", "resolve"})

Read = Callable[[str], str | None]
"""The text of a file by its path, None where there is none."""


class InvalidHosts(ValueError):
    """A ``hosts.toml`` that can not be read; the message names it."""


@dataclass(frozen=True, slots=True)
class Host:
    """One place to ask. ``url`` ends before ``/<repository>/manifests/…``."""

    url: str
    capabilities: frozenset[str] = CAPABILITIES
    skip_verify: bool = False
    authorities: tuple[str, ...] = ()
    clients: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    is_mirror: bool = False

    @property
    def name(self) -> str:
        """Host and port."""
        return urlsplit(self.url).netloc


def directories(domain: str) -> list[str]:
    """Where a domain's file may lie, best first."""
    host, colon, port = domain.rpartition(":")
    found = [domain]
    if colon and port.isdecimal():
        found = [domain, f"{host}_{port}_"]
    return [*found, DEFAULT_DIRECTORY]


def hosts_of(domain: str, root: str, read: Read) -> list[Host]:
    """All that serve ``domain``, in the order to ask them; its own server last."""
    for name in directories(domain) if root else ():
        directory = f"{root}/{name}"
        text = read(f"{directory}/{FILE}")
        if text is not None:
            return parse(text, domain, directory)
    return [default_host(domain)]


def default_host(domain: str) -> Host:
    """Without a file: HTTPS, but plain HTTP on this machine itself."""
    if domain == DOCKER:
        return Host(f"{DOCKER_SERVER}/v2")
    scheme = "http" if is_local(domain) else "https"
    return Host(f"{scheme}://{domain}/v2")


def is_local(domain: str) -> bool:
    """Whether the domain is this machine's loopback."""
    name = urlsplit(f"//{domain}").hostname or ""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def parse(text: str, domain: str, directory: str) -> list[Host]:
    """The hosts of one file; InvalidHosts when it is not understood."""
    try:
        body = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidHosts(f"{directory}/{FILE}: {error}") from error
    found = []
    tables = body.get("host", {})
    if not isinstance(tables, dict):
        raise InvalidHosts(f"{directory}/{FILE}: host must be tables")
    for url, table in tables.items():
        if not isinstance(table, dict):
            raise InvalidHosts(f"{directory}/{FILE}: host.{url} must be a table")
        found.append(_host(url, table, directory, is_mirror=True))
    server = body.get("server")
    if server:
        found.append(_host(str(server), body, directory, is_mirror=False))
    else:
        found.append(default_host(domain))
    return found


def _host(url: str, table: Mapping[str, Any], directory: str, *, is_mirror: bool) -> Host:
    if "://" not in url:
        url = f"{'http' if is_local(url) else 'https'}://{url}"
    url = url.rstrip("/")
    if not table.get("override_path") and not url.endswith("/v2"):
        url += "/v2"
    capabilities = table.get("capabilities")
    return Host(
        url,
        CAPABILITIES if capabilities is None else frozenset(capabilities),
        skip_verify=bool(table.get("skip_verify")),
        authorities=tuple(_below(directory, path) for path in _several(table.get("ca", []))),
        clients=tuple(_pair(directory, entry) for entry in _several(table.get("client", []))),
        headers=tuple(_headers(table.get("header", {}))),
        is_mirror=is_mirror,
    )


def _several(value: Any) -> list[Any]:
    return [value] if isinstance(value, str) else list(value)


def _below(directory: str, path: str) -> str:
    """Paths are meant from the file they stand in."""
    return path if path.startswith("/") else f"{directory}/{path}"


def _pair(directory: str, entry: str | list[str]) -> tuple[str, str]:
    """A certificate and its key; both may be in one file."""
    files = [_below(directory, path) for path in _several(entry)]
    return files[0], files[1] if len(files) > 1 else ""


def _headers(table: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(name, str(value)) for name, values in table.items() for value in _several(values)]
