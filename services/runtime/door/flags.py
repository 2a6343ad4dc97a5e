"""The flags of a component's HTTPS door, as Kubernetes' components name them."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from pilothouse.services.runtime.rpc.tls import Identity

ALWAYS_ALLOWED = "/healthz,/readyz,/livez"


@dataclass(frozen=True, slots=True)
class Secured:
    """Where to listen, with which files (PEM), and which paths everybody may get."""

    address: str
    port: int
    certificate: Path
    key: Path
    client_authority: Path
    open_paths: frozenset[str] = frozenset()


def add_door(parser: argparse.ArgumentParser, port: int) -> None:
    """``--secure-port`` and its kin."""
    add = parser.add_argument
    add("--bind-address", default="0.0.0.0", metavar="IP")
    add("--secure-port", type=int, default=port, metavar="N", help="HTTPS; 0 for none")
    add("--tls-cert-file", type=Path, help="--client-certificate when not given")
    add("--tls-private-key-file", type=Path)
    add("--client-ca-file", type=Path, help="--certificate-authority when not given")
    add("--authorization-always-allow-paths", default=ALWAYS_ALLOWED, metavar="PATHS")


def secured(flags: argparse.Namespace, identity: Identity | None) -> Secured | None:
    """None where no port is wanted, or there is nothing to prove oneself with."""
    certificate, key = flags.tls_cert_file, flags.tls_private_key_file
    authority = flags.client_ca_file
    if identity is not None:
        if certificate is None or key is None:
            certificate, key = identity.certificate, identity.key
        authority = authority or identity.authority
    if flags.secure_port == 0 or certificate is None or key is None or authority is None:
        return None
    paths = frozenset(filter(None, flags.authorization_always_allow_paths.split(",")))
    return Secured(flags.bind_address, flags.secure_port, certificate, key, authority, paths)
