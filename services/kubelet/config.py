"""What the kubelet is told: its file (``--config``, ``--config-dir``), and flags above it."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pilothouse.services.kubelet.configuration import checks, documents
from pilothouse.services.kubelet.configuration import flags as fields
from pilothouse.services.kubelet.configuration.fields import (
    PODS_MAX,
    PORT,
    KubeletConfiguration,
)
from pilothouse.services.runtime.rpc import flags as mesh
from pilothouse.services.runtime.rpc.tls import Identity

__all__ = ["PODS_MAX", "PORT", "Config", "Paths", "Serving", "parse"]

CGROUP = "kubepods"
DOMAIN = "cluster.local"
ANY_ADDRESS = ("", "0.0.0.0", "::")


@dataclass(frozen=True, slots=True)
class Paths:
    """Where the kubelet and the runtime keep things; ``manifests`` None: no static pods.

    ``cni_cache`` None: beside ``cni_conf``.
    """

    root: Path
    logs: Path
    cni_conf: Path
    cni_cache: Path | None
    manifests: Path | None
    resolv_conf: Path


@dataclass(frozen=True, slots=True)
class Serving:
    """The HTTPS server: its certificate, and the authority of its clients."""

    address: str
    port: int
    identity: Identity


@dataclass(frozen=True, slots=True)
class Config:
    """``identity`` is None with a unix socket as server; ``serving`` None: no HTTPS server.

    ``kubelet``: the whole KubeletConfiguration, flags included. ``chosen``: the fields of it that
    a file or a flag names. ``flags``: all flags as they count, as text.
    """

    node_name: str
    node_ip: str
    server: str
    identity: Identity | None
    runtime_endpoint: str
    cgroup_root: str
    paths: Paths
    serving: Serving | None
    socket: Path
    cluster_dns: tuple[str, ...]
    cluster_domain: str
    pods_max: int
    kubelet: KubeletConfiguration = field(default_factory=KubeletConfiguration)
    chosen: frozenset[str] = frozenset()
    flags: Mapping[str, str] = field(default_factory=dict)


def parse(argv: list[str]) -> Config:
    """Flags as Kubernetes' kubelet names them, where it has them. Exits on a wrong one."""
    parser = _parser()
    flags = parser.parse_args(argv)
    identity = mesh.identity(parser, flags)
    try:
        kubelet, chosen = _read(flags)
    except (ValueError, OSError) as error:
        parser.error(f"failed to load Kubelet config file: {error}")
    wrong = checks.problems(kubelet)
    if wrong:
        parser.error("; ".join(wrong))
    manifests = kubelet.static_pod_path
    paths = Paths(
        root=flags.root_dir,
        logs=flags.log_dir or Path(kubelet.pod_logs_dir),
        cni_conf=flags.cni_conf_dir,
        cni_cache=flags.cni_cache_dir,
        manifests=Path(manifests) if manifests else None,
        resolv_conf=Path(kubelet.resolv_conf or "/dev/null"),
    )
    root = f"{kubelet.cgroup_root.rstrip('/')}/{CGROUP}"
    return Config(
        node_name=flags.node_name,
        node_ip=flags.node_ip,
        server=flags.server,
        identity=identity,
        runtime_endpoint=kubelet.container_runtime_endpoint,
        cgroup_root=flags.cgroup_root or root,
        paths=paths,
        serving=_serving(kubelet, flags),
        socket=flags.socket or flags.run_dir / f"kubelet-{flags.node_name}.sock",
        cluster_dns=kubelet.cluster_dns,
        cluster_domain=kubelet.cluster_domain or DOMAIN,
        pods_max=kubelet.max_pods,
        kubelet=kubelet,
        chosen=chosen,
        flags=_told(flags),
    )


def _told(flags: argparse.Namespace) -> dict[str, str]:
    """The flags that count, by the names they are given by."""
    said = {fields.flag_of(name): value for name, value in vars(flags).items()}
    return {name: str(value) for name, value in said.items() if value is not None}


def _read(flags: argparse.Namespace) -> tuple[KubeletConfiguration, frozenset[str]]:
    """The file, what drop-in files change of it, and flags above; and which fields are named.

    Raises ValueError and OSError.
    """
    said = {}
    if flags.config is not None:
        said = documents.parse(flags.config.read_text(), str(flags.config))
    if flags.config_dir is not None:
        for path in sorted(flags.config_dir.rglob("*.conf")):
            said = documents.merge(said, documents.parse(path.read_text(), str(path)))
    given = fields.given(flags)
    return documents.decode(said, given), frozenset((*said, *given))


def _serving(kubelet: KubeletConfiguration, flags: argparse.Namespace) -> Serving | None:
    """The client certificate serves, and the mesh's authority judges, where no other is named."""
    certificate = kubelet.tls_cert_file or flags.client_certificate
    key = kubelet.tls_private_key_file or flags.client_key
    authority = kubelet.authentication.x509.client_ca_file or flags.certificate_authority
    if not kubelet.enable_server or None in (certificate, key, authority):
        return None
    address = flags.node_ip if kubelet.address in ANY_ADDRESS else kubelet.address
    identity = Identity(Path(certificate), Path(key), Path(authority))
    return Serving(address, kubelet.port, identity)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pilothouse kubelet", description=__doc__, allow_abbrev=False
    )
    add = parser.add_argument
    add("--node-name", "--hostname-override", required=True, help="this node's name")
    add("--node-ip", required=True, help="this node's address")
    mesh.add_server(parser)
    add("--config", type=Path, help="KubeletConfiguration, kubelet.config.k8s.io/v1beta1")
    add("--config-dir", type=Path, help="drop-in files (*.conf), merged in order of their names")
    add("--root-dir", type=Path, default=Path("/var/lib/pilothouse/kubelet"))
    add("--log-dir", type=Path, help="logs of pods; podLogsDir else")
    add("--cni-conf-dir", type=Path, default=Path("/etc/cni/net.d"))
    add("--cni-cache-dir", type=Path, help="addresses of pods; beside --cni-conf-dir else")
    add("--cni-bin-dir", type=Path, help="accepted; the runtime invokes the plugins")
    add("--cgroup-root", default="", help="of pods; kubepods below cgroupRoot else")
    add("--run-dir", type=Path, default=Path("/run/pilothouse"))
    add("--socket", type=Path, help="gRPC; RUN-DIR/kubelet-NODE.sock when not given")
    fields.add(parser)
    return parser
