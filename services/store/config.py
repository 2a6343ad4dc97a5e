"""The store's flags."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pilothouse.services.runtime.rpc.server import Listen
from pilothouse.services.runtime.rpc.tls import Identity
from pilothouse.services.store.compaction import INTERVAL_SECONDS

DATABASE = "store.db"


@dataclass(frozen=True, slots=True)
class Config:
    """Where the data lies and who may come to it."""

    database: str
    listens: tuple[Listen, ...]
    compact_every_seconds: float
    client_urls: tuple[str, ...]
    log_level: str


def parse(argv: Sequence[str]) -> Config:
    """Flags to Config; argparse's exit on what can not be."""
    parser = argparse.ArgumentParser(prog="pilothouse store", description=__doc__)
    parser.add_argument("--data-dir", required=True, type=Path, help="directory of the database")
    parser.add_argument(
        "--listen",
        required=True,
        action="append",
        help="host:port, or the path of a unix socket; may be repeated",
    )
    parser.add_argument("--cert-file", type=Path, help="the server's certificate, PEM")
    parser.add_argument("--key-file", type=Path, help="its key")
    parser.add_argument("--trusted-ca-file", type=Path, help="who signs the clients' certificates")
    parser.add_argument(
        "--insecure", action="store_true", help="TCP without TLS, on a loopback address only"
    )
    parser.add_argument(
        "--auto-compaction-seconds",
        type=float,
        default=INTERVAL_SECONDS,
        help="forget history older than this; 0 keeps it (default: %(default)s)",
    )
    parser.add_argument("--log-level", default="info", choices=["debug", "info", "warning"])
    flags = parser.parse_args(argv)
    identity = None
    if flags.cert_file or flags.key_file or flags.trusted_ca_file:
        if not (flags.cert_file and flags.key_file and flags.trusted_ca_file):
            parser.error("--cert-file, --key-file and --trusted-ca-file go together")
        identity = Identity(flags.cert_file, flags.key_file, flags.trusted_ca_file)
    listens = tuple(_listen(address, identity, flags.insecure) for address in flags.listen)
    for listen in listens:
        if not listen.allowed:
            parser.error(
                f"--listen {listen.address}: TCP needs certificates,"
                " or --insecure on a loopback address"
            )
    scheme = "https" if identity is not None else "http"
    return Config(
        database=str(flags.data_dir / DATABASE),
        listens=listens,
        compact_every_seconds=flags.auto_compaction_seconds,
        client_urls=tuple(f"{scheme}://{item.address}" for item in listens if not item.is_unix),
        log_level=flags.log_level,
    )


def _listen(address: str, identity: Identity | None, insecure: bool) -> Listen:
    address = address.removeprefix("unix://")
    if address.startswith("/"):
        return Listen(address)
    return Listen(address, identity, insecure=insecure and identity is None)
