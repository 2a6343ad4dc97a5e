"""What the controllers are told on their command line."""

import argparse
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from pilothouse.services.controllers import manager
from pilothouse.services.controllers.adapters.authority import Signing
from pilothouse.services.machinery import durations
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.client.election import Contest
from pilothouse.services.runtime.control.leadership import Timing
from pilothouse.services.runtime.rpc import flags as mesh
from pilothouse.services.runtime.rpc.tls import Identity

COMPONENT = "kube-controller-manager"


@dataclass(frozen=True, slots=True)
class Config:
    """``socket`` is where it serves gRPC; ``identity`` is None with a unix socket as server.

    Without a ``contest`` it leads from the start, whoever else does.
    """

    server: str
    identity: Identity | None
    socket: Path
    controllers: frozenset[str]
    settings: manager.Settings
    contest: Contest | None


def parse(argv: list[str]) -> Config:
    """Flags as kube-controller-manager names them, where it has them. Exits on a wrong one."""
    parser = argparse.ArgumentParser(prog="pilothouse controllers", description=__doc__)
    add = parser.add_argument
    mesh.add_server(parser)
    add("--run-dir", type=Path, default=Path("/run/pilothouse"))
    add("--socket", type=Path, help="gRPC; RUN-DIR/controllers.sock when not given")
    add("--controllers", default="*", help="which to run: NAME, -NAME and *, comma separated")
    add("--cluster-cidr", default="", help="addresses of pods, a part of it for each node")
    add("--node-cidr-mask-size", type=int, default=24)
    add("--root-ca-file", type=Path, help="what pods shall trust; --certificate-authority's else")
    add("--cluster-signing-cert-file", type=Path, help="of who signs approved requests, PEM")
    add("--cluster-signing-key-file", type=Path)
    add(
        "--cluster-signing-duration",
        type=durations.parse,
        default=8760 * 3600.0,
        metavar="DURATION",
    )
    add("--node-monitor-grace-period", type=float, default=50.0, metavar="SECONDS")
    _add_election(parser)
    flags = parser.parse_args(argv)
    identity = mesh.identity(parser, flags)
    try:
        chosen = manager.chosen(flags.controllers.split(","))
        contest = _contest(flags, flags.socket or flags.run_dir / "controllers.sock")
        cidr = ipaddress.ip_network(flags.cluster_cidr) if flags.cluster_cidr else None
    except ValueError as error:
        parser.error(str(error))
    authority = flags.root_ca_file or flags.certificate_authority
    return Config(
        server=flags.server,
        identity=identity,
        socket=flags.socket or flags.run_dir / "controllers.sock",
        controllers=chosen,
        settings=manager.Settings(
            certificate=authority.read_text() if authority is not None else "",
            cluster_cidr=cidr,
            node_mask=flags.node_cidr_mask_size,
            node_grace_seconds=flags.node_monitor_grace_period,
            signing=_signing(flags),
        ),
        contest=contest,
    )


def _add_election(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--leader-elect", type=_boolean, nargs="?", const=True, default=True, metavar="BOOL")
    for name, default in (
        ("lease-duration", 15.0),
        ("renew-deadline", 10.0),
        ("retry-period", 2.0),
    ):
        flag = f"--leader-elect-{name}"
        add(flag, type=durations.parse, default=default, metavar="DURATION")
    add("--leader-elect-resource-name", default=COMPONENT, metavar="NAME")
    add("--leader-elect-resource-namespace", default="kube-system", metavar="NAMESPACE")
    add("--leader-elect-resource-lock", choices=["leases"], default="leases")
    add("--leader-elect-mark", type=Path, help="file that names the last process; by the socket")


def _contest(flags: argparse.Namespace, own: Path) -> Contest | None:
    """None where nobody is to be elected; ValueError on times that do not go together."""
    if not flags.leader_elect:
        return None
    timing = Timing(
        flags.leader_elect_lease_duration,
        flags.leader_elect_renew_deadline,
        flags.leader_elect_retry_period,
    )
    lease = Key(flags.leader_elect_resource_namespace, flags.leader_elect_resource_name)
    mark = flags.leader_elect_mark or own.with_suffix(".leader")
    return Contest(COMPONENT, lease, timing, mark)


def _boolean(text: str) -> bool:
    """As Go reads it; ValueError."""
    if text in {"1", "t", "T", "true", "TRUE", "True"}:
        return True
    if text in {"0", "f", "F", "false", "FALSE", "False"}:
        return False
    raise ValueError(text)


def _signing(flags: argparse.Namespace) -> Signing | None:
    """Without both files nobody signs."""
    certificate, key = flags.cluster_signing_cert_file, flags.cluster_signing_key_file
    if certificate is None or key is None:
        return None
    return Signing(certificate.read_text(), key.read_text(), flags.cluster_signing_duration)
