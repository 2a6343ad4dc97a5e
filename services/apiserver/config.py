"""The API server's options: kube-apiserver's names where such exist."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path

from pilothouse.services.machinery import durations
from pilothouse.services.runtime.rpc.tls import Identity

DEFAULT_PKI = Path("/etc/pilothouse/pki")
DEFAULT_ISSUER = "https://kubernetes.default.svc.cluster.local"


@dataclass(frozen=True, slots=True)
class Pki:
    """Certificates and keys, as files in PEM."""

    client_ca: Path
    tls_certificate: Path
    tls_key: Path
    account_keys: tuple[Path, ...]
    account_signing_key: Path
    kubelet_certificate: Path
    kubelet_key: Path
    kubelet_ca: Path


@dataclass(frozen=True, slots=True)
class Requests:
    """What requests may take; limits of 0 are none. ``shutdown_delay`` is in seconds, too."""

    reading_max: int = 400
    writing_max: int = 200
    fair: bool = True
    seconds: float = 60.0
    shutdown_delay: float = 0.0


@dataclass(frozen=True, slots=True)
class Config:
    """Everything a start needs; ``listen_fds`` are listening sockets of the parent process."""

    bind_address: str
    secure_port: int
    advertise_address: str
    mesh_address: str
    listen_fds: tuple[int, ...]
    etcd_servers: tuple[str, ...]
    etcd_identity: Identity | None
    etcd_compaction_seconds: float
    data_dir: Path
    run_dir: Path
    service_cluster_ip_range: str
    service_node_port_range: tuple[int, int]
    pki: Pki
    service_account_issuers: tuple[str, ...]
    service_account_jwks_uri: str
    log_level: str
    requests: Requests
    event_seconds: float

    @property
    def socket(self) -> Path:
        """The private door: whoever can open it is taken for an administrator."""
        return self.run_dir / "apiserver.sock"


def parse(argv: Sequence[str]) -> Config:
    """The configuration of a command line; exits with a message on one that is wrong."""
    parser = _parser()
    options = parser.parse_args(argv)
    return Config(
        bind_address=options.bind_address,
        secure_port=options.secure_port,
        advertise_address=options.advertise_address or options.bind_address,
        mesh_address=options.mesh_address,
        listen_fds=tuple(options.listen_fd),
        etcd_servers=tuple(part for part in options.etcd_servers.split(",") if part),
        etcd_identity=_etcd_identity(parser, options),
        etcd_compaction_seconds=options.etcd_compaction_interval,
        data_dir=options.data_dir,
        run_dir=options.run_dir,
        service_cluster_ip_range=options.service_cluster_ip_range,
        service_node_port_range=options.service_node_port_range,
        pki=_pki(options),
        service_account_issuers=tuple(options.service_account_issuer) or (DEFAULT_ISSUER,),
        service_account_jwks_uri=options.service_account_jwks_uri,
        log_level=options.log_level,
        event_seconds=options.event_ttl,
        requests=Requests(
            reading_max=options.max_requests_inflight,
            writing_max=options.max_mutating_requests_inflight,
            fair=options.enable_priority_and_fairness,
            seconds=options.request_timeout,
            shutdown_delay=options.shutdown_delay_duration,
        ),
    )


def _etcd_identity(parser: argparse.ArgumentParser, options: argparse.Namespace) -> Identity | None:
    """The three files of mutual TLS to etcd; none or all."""
    files = (options.etcd_certfile, options.etcd_keyfile, options.etcd_cafile)
    if not any(files):
        return None
    if not all(files):
        parser.error("--etcd-cafile, --etcd-certfile and --etcd-keyfile go together")
    return Identity(*files)


def _pki(options: argparse.Namespace) -> Pki:
    folder: Path = options.pki_dir
    return Pki(
        client_ca=options.client_ca_file or folder / "ca.crt",
        tls_certificate=options.tls_cert_file or folder / "apiserver.crt",
        tls_key=options.tls_private_key_file or folder / "apiserver.key",
        account_keys=tuple(options.service_account_key_file) or (folder / "sa.pub",),
        account_signing_key=options.service_account_signing_key_file or folder / "sa.key",
        kubelet_certificate=options.kubelet_client_certificate
        or folder / "apiserver-kubelet-client.crt",
        kubelet_key=options.kubelet_client_key or folder / "apiserver-kubelet-client.key",
        kubelet_ca=options.kubelet_certificate_authority or folder / "ca.crt",
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pilothouse apiserver", allow_abbrev=False)
    add = parser.add_argument
    add("--bind-address", default="127.0.0.1", help="address that HTTPS is served on")
    add("--secure-port", type=int, default=6443, help="port of HTTPS; 0 serves --listen-fd only")
    add("--advertise-address", default="", help="address that others reach this server at")
    add("--mesh-address", default="", help="host:port of gRPC with mutual TLS; empty: none")
    add(
        "--listen-fd",
        type=int,
        action="append",
        default=[],
        metavar="N",
        help="a listening socket that the parent left open (repeatable)",
    )
    _add_etcd(parser)
    add("--data-dir", type=Path, default=Path("/var/lib/pilothouse"), help="where state lives")
    add("--run-dir", type=Path, default=Path("/run/pilothouse"), help="where sockets live")
    add("--service-cluster-ip-range", type=_network, default="10.96.0.0/12")
    add("--service-node-port-range", type=_ports, default=(30000, 32767))
    add("--pki-dir", type=Path, default=DEFAULT_PKI, help="where the files below are by default")
    for name in (
        "client-ca-file",
        "tls-cert-file",
        "tls-private-key-file",
        "service-account-signing-key-file",
        "kubelet-client-certificate",
        "kubelet-client-key",
        "kubelet-certificate-authority",
    ):
        add(f"--{name}", type=Path, default=None, metavar="FILE")
    add(
        "--service-account-key-file",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a public key that tokens may be signed with (repeatable)",
    )
    add("--log-level", default="info", choices=("debug", "info", "warning", "error"))
    _add_limits(parser)
    _add_issuer(parser)
    return parser


def _add_issuer(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--service-account-issuer",
        action="append",
        default=[],
        metavar="URL",
        help="who tokens are issued by; of several the first issues, all are accepted",
    )
    parser.add_argument(
        "--service-account-jwks-uri",
        default="",
        metavar="URL",
        help="where the keys of tokens are told to be; empty: at this server",
    )


def _add_etcd(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--etcd-servers",
        "--store",
        default="",
        help="etcd v3 endpoints, comma apart; empty: own store in this process",
    )
    for name in ("etcd-cafile", "etcd-certfile", "etcd-keyfile"):
        add(f"--{name}", type=Path, default=None, metavar="FILE")
    add(
        "--etcd-compaction-interval",
        type=_seconds,
        default=300.0,
        metavar="5m0s",
        help="how long history is kept, a number of seconds or with units; 0 never compacts",
    )


def _add_limits(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--event-ttl", type=_seconds, default=3600.0, metavar="DURATION")
    add("--max-requests-inflight", type=_count, default=400, metavar="N")
    add("--max-mutating-requests-inflight", type=_count, default=200, metavar="N")
    add("--enable-priority-and-fairness", type=_switch, default=True, metavar="BOOL")
    add("--request-timeout", type=_seconds, default=60.0, metavar="DURATION")
    add("--shutdown-delay-duration", type=_seconds, default=0.0, metavar="DURATION")


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text}: not a number")
    return int(text)


def _switch(text: str) -> bool:
    if text not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text}: neither true nor false")
    return text == "true"


def _seconds(text: str) -> float:
    """Seconds of ``300`` or of Go's ``1h5m0s``."""
    if text.isdecimal():
        return float(text)
    try:
        return durations.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _network(text: str) -> str:
    try:
        return str(ip_network(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _ports(text: str) -> tuple[int, int]:
    low, _, high = text.partition("-")
    if not (low.isdecimal() and high.isdecimal() and 0 < int(low) <= int(high) < 1 << 16):
        raise argparse.ArgumentTypeError(f"{text}: a range is written as 30000-32767")
    return int(low), int(high)
