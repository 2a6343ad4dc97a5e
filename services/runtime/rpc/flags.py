"""The flags by which a component reaches the mesh."""

import argparse
from pathlib import Path

from pilothouse.services.runtime.rpc.tls import Identity


def add_server(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """``--server`` and whom to be there; without a ``default`` the server must be named."""
    add = parser.add_argument
    add("--server", required=default is None, default=default,
        help="the mesh: HOST:PORT, or unix:///PATH")  # fmt: skip
    add("--client-certificate", type=Path)
    add("--client-key", type=Path)
    add("--certificate-authority", type=Path)


def identity(parser: argparse.ArgumentParser, flags: argparse.Namespace) -> Identity | None:
    """Whom to be; None with a unix socket and no files. Exits where TCP lacks one of them."""
    files = (flags.client_certificate, flags.client_key, flags.certificate_authority)
    if None not in files:
        return Identity(*files)
    if not flags.server.startswith("unix:"):
        parser.error(
            "a TCP server needs --client-certificate, --client-key and --certificate-authority"
        )
    return None
