"""What the controllers are told on their command line."""

import argparse
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from pilothouse.services.controllers import flags as more
from pilothouse.services.controllers import manager
from pilothouse.services.controllers.adapters.authority import Signing
from pilothouse.services.controllers.adapters.rest import Server
from pilothouse.services.machinery import durations
from pilothouse.services.runtime.client import candidacy
from pilothouse.services.runtime.client.election import Contest
from pilothouse.services.runtime.door import flags as door
from pilothouse.services.runtime.door.flags import Secured
from pilothouse.services.runtime.rpc import flags as mesh
from pilothouse.services.runtime.rpc.tls import Identity

COMPONENT = "kube-controller-manager"
SECURE_PORT = 10257
REST_PORT = 6443
_CHOICE = (
    "which to run, comma separated: NAME, -NAME not to, and * for all but "
    "bootstrapsigner and tokencleaner. There are"
)


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
    secured: Secured | None


def parse(argv: list[str]) -> Config:
    """Flags as kube-controller-manager names them, where it has them. Exits on a wrong one."""
    parser = argparse.ArgumentParser(prog="pilothouse controllers", description=__doc__)
    add = parser.add_argument
    mesh.add_server(parser)
    add("--run-dir", type=Path, default=Path("/run/pilothouse"))
    add("--socket", type=Path, help="gRPC; RUN-DIR/controllers.sock when not given")
    add(
        "--controllers",
        default="*",
        metavar="NAMES",
        help=f"{_CHOICE} {', '.join(manager.CONTROLLERS)}",
    )
    add("--root-ca-file", type=Path, help="what pods shall trust; --certificate-authority's else")
    add("--cluster-signing-cert-file", type=Path, help="of who signs approved requests, PEM")
    add("--cluster-signing-key-file", type=Path)
    add(
        "--cluster-signing-duration",
        type=durations.parse,
        default=8760 * 3600.0,
        metavar="DURATION",
    )
    more.add_nodes(parser)
    more.add_addresses(parser)
    add("--master", default="", help="the API server's REST door, where metrics are read")
    more.add_autoscaling(parser)
    more.add_works(parser)
    more.add_unused(parser)
    candidacy.add_election(parser, COMPONENT)
    door.add_door(parser, SECURE_PORT)
    flags = parser.parse_args(argv)
    identity = mesh.identity(parser, flags)
    own = flags.socket or flags.run_dir / "controllers.sock"
    try:
        chosen = manager.chosen(flags.controllers.split(","))
        contest = candidacy.contest(flags, COMPONENT, own)
        ranges = more.ranges(flags)
        reserved = tuple(map(ipaddress.ip_network, more.listed(flags.service_cluster_ip_range)))
    except ValueError as error:
        parser.error(str(error))
    authority = flags.root_ca_file or flags.certificate_authority
    return Config(
        server=flags.server,
        identity=identity,
        socket=own,
        controllers=chosen,
        settings=manager.Settings(
            certificate=authority.read_text() if authority is not None else "",
            cluster_cidr=ranges,
            service_cidr=reserved,
            endpoints_max=flags.max_endpoints_per_slice,
            mirrored_max=flags.mirroring_max_endpoints_per_subset,
            patience=more.patience(flags),
            terminated_pods_max=flags.terminated_pod_gc_threshold,
            unused_tokens_seconds=flags.legacy_service_account_token_clean_up_period,
            quota_sync_seconds=flags.resource_quota_sync_period,
            signing=_signing(flags),
            server=_rest(flags, identity),
            autoscaling=more.autoscaling(flags),
            workers=more.workers(flags),
            provision_volumes=flags.enable_dynamic_provisioning,
        ),
        contest=contest,
        secured=door.secured(flags, identity),
    )


def _signing(flags: argparse.Namespace) -> Signing | None:
    """Without both files nobody signs."""
    certificate, key = flags.cluster_signing_cert_file, flags.cluster_signing_key_file
    if certificate is None or key is None:
        return None
    return Signing(certificate.read_text(), key.read_text(), flags.cluster_signing_duration)


def _rest(flags: argparse.Namespace, identity: Identity | None) -> Server | None:
    """Where the API server answers HTTPS: as told, or at the usual port of the mesh's host."""
    if flags.master:
        return Server(flags.master.rstrip("/"), identity)
    if flags.server.startswith("unix:"):
        return None
    return Server(f"https://{flags.server.rpartition(':')[0]}:{REST_PORT}", identity)
