"""What the controllers are told on their command line."""

import argparse
import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pilothouse.services.controllers import flags as more
from pilothouse.services.controllers import manager
from pilothouse.services.controllers.adapters.identity.authority import Signing
from pilothouse.services.controllers.adapters.rest import Server
from pilothouse.services.machinery import durations
from pilothouse.services.runtime import commandline
from pilothouse.services.runtime.client import candidacy
from pilothouse.services.runtime.client.election import Contest
from pilothouse.services.runtime.door import flags as door
from pilothouse.services.runtime.door.flags import Secured
from pilothouse.services.runtime.door.pages import Pages
from pilothouse.services.runtime.rpc import kubeconfig
from pilothouse.services.runtime.rpc.tls import Identity

COMPONENT = "kube-controller-manager"
SECURE_PORT = 10257
REST_PORT = 6443
SHOWN_AS = "kubecontrollermanager.config.k8s.io"
SIGNERS = {
    "kubelet-serving": "kubernetes.io/kubelet-serving",
    "kubelet-client": "kubernetes.io/kube-apiserver-client-kubelet",
    "kube-apiserver-client": "kubernetes.io/kube-apiserver-client",
    "legacy-unknown": "kubernetes.io/legacy-unknown",
}
"""As flags name them, and as requests do."""
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
    log_level: str
    pages: Pages


def parse(argv: list[str]) -> Config:
    """Flags as kube-controller-manager names them, where it has them. Exits on a wrong one."""
    parser = argparse.ArgumentParser(prog="pilothouse controllers", description=__doc__)
    add = parser.add_argument
    kubeconfig.add_server(parser)
    add("--run-dir", type=Path, default=Path("/run/pilothouse"))
    add("--socket", type=Path, help="gRPC; RUN-DIR/controllers.sock when not given")
    add(
        "--controllers",
        default="*",
        metavar="NAMES",
        help=f"{_CHOICE} {', '.join(manager.CONTROLLERS)}",
    )
    _add_files(parser)
    more.add_nodes(parser)
    more.add_addresses(parser)
    more.add_autoscaling(parser)
    more.add_works(parser)
    more.add_unused(parser)
    commandline.add_common(parser)
    candidacy.add_election(parser, COMPONENT)
    door.add_door(parser, SECURE_PORT)
    flags = parser.parse_args(argv)
    identity = kubeconfig.identity(parser, flags)
    own = flags.socket or flags.run_dir / "controllers.sock"
    try:
        chosen = manager.chosen(more.controllers(flags))
        contest = candidacy.contest(flags, COMPONENT, own)
        settings = _settings(flags, identity)
    except ValueError as error:
        parser.error(str(error))
    return Config(
        server=flags.server,
        identity=identity,
        socket=own,
        controllers=chosen,
        settings=settings,
        contest=contest,
        secured=door.secured(flags, identity),
        log_level=commandline.log_level(flags),
        pages=Pages(COMPONENT, commandline.told(flags), {SHOWN_AS: {"Generic": _generic(flags)}}),
    )


def _generic(flags: argparse.Namespace) -> dict[str, Any]:
    """What all managers of upstream's kind are told, as they show it."""
    return {
        "Address": flags.bind_address,
        "Port": flags.secure_port,
        "Controllers": flags.controllers.split(","),
        "LeaderElection": candidacy.shown(flags),
    }


def _add_files(parser: argparse.ArgumentParser) -> None:
    """Certificates that pods trust and that requests are signed with."""
    add = parser.add_argument
    add("--root-ca-file", type=Path, help="what pods shall trust; --certificate-authority's else")
    for part in ("", *(f"{name}-" for name in SIGNERS)):
        text = f"of who signs approved requests{f' of {SIGNERS[part[:-1]]}' if part else ''}, PEM"
        add(f"--cluster-signing-{part}cert-file", type=Path, metavar="FILE", help=text)
        add(f"--cluster-signing-{part}key-file", type=Path, metavar="FILE")
    add(
        "--cluster-signing-duration",
        type=durations.parse,
        default=8760 * 3600.0,
        metavar="DURATION",
    )


def _settings(flags: argparse.Namespace, identity: Identity | None) -> manager.Settings:
    """As told; ValueError for addresses that are none."""
    authority = flags.root_ca_file or flags.certificate_authority
    reserved = more.listed(flags.service_cluster_ip_range)
    return manager.Settings(
        certificate=authority.read_text() if authority is not None else "",
        cluster_cidr=more.ranges(flags) if flags.allocate_node_cidrs else None,
        service_cidr=tuple(map(ipaddress.ip_network, reserved)),
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
    )


def _signing(flags: argparse.Namespace) -> dict[str, Signing]:
    """By signer. Without both files nobody signs; ValueError where they do not go together."""

    def told(part: str) -> tuple[Path | None, Path | None]:
        name = f"cluster_signing_{part}".replace("-", "_")
        return getattr(flags, f"{name}cert_file"), getattr(flags, f"{name}key_file")

    every, found = told(""), {}
    for part, signer in SIGNERS.items():
        own = told(f"{part}-")
        if own != (None, None) and every != (None, None):
            raise ValueError(
                f"--cluster-signing-{part}-cert-file: the files of all signers are given"
            )
        if None in own and own != (None, None):
            raise ValueError(f"--cluster-signing-{part}-cert-file and -key-file go together")
        certificate, key = own if own != (None, None) else every
        if certificate is not None and key is not None:
            duration = flags.cluster_signing_duration
            found[signer] = Signing(certificate.read_text(), key.read_text(), duration)
    return found


def _rest(flags: argparse.Namespace, identity: Identity | None) -> Server | None:
    """Where the API server answers HTTPS: as told, or at the usual port of the mesh's host."""
    if flags.master:
        return Server(flags.master.rstrip("/"), identity)
    if flags.server.startswith("unix:"):
        return None
    return Server(f"https://{flags.server.rpartition(':')[0]}:{REST_PORT}", identity)
