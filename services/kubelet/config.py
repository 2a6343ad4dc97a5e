"""What the kubelet is told on its command line."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from pilothouse.services.runtime.rpc import flags as mesh
from pilothouse.services.runtime.rpc.tls import Identity

PORT = 10250
PODS_MAX = 110


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
    """``identity`` is None with a unix socket as server; ``serving`` None: no HTTPS server."""

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


def parse(argv: list[str]) -> Config:
    """Flags as Kubernetes' kubelet names them, where it has them. Exits on a wrong one."""
    parser = _parser()
    flags = parser.parse_args(argv)
    identity = mesh.identity(parser, flags)
    serving = (
        flags.tls_cert_file or flags.client_certificate,
        flags.tls_private_key_file or flags.client_key,
        flags.client_ca_file or flags.certificate_authority,
    )
    paths = Paths(
        root=flags.root_dir,
        logs=flags.log_dir,
        cni_conf=flags.cni_conf_dir,
        cni_cache=flags.cni_cache_dir,
        manifests=flags.pod_manifest_path,
        resolv_conf=flags.resolv_conf,
    )
    address = flags.address or flags.node_ip
    return Config(
        node_name=flags.node_name,
        node_ip=flags.node_ip,
        server=flags.server,
        identity=identity,
        runtime_endpoint=flags.container_runtime_endpoint,
        cgroup_root=flags.cgroup_root,
        paths=paths,
        serving=None if None in serving else Serving(address, flags.port, Identity(*serving)),
        socket=flags.socket or flags.run_dir / f"kubelet-{flags.node_name}.sock",
        cluster_dns=tuple(filter(None, flags.cluster_dns.split(","))),
        cluster_domain=flags.cluster_domain,
        pods_max=flags.max_pods,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pilothouse kubelet", description=__doc__)
    add = parser.add_argument
    add("--node-name", "--hostname-override", required=True, help="this node's name")
    add("--node-ip", required=True, help="this node's address")
    mesh.add_server(parser)
    add("--container-runtime-endpoint", default="unix:///run/containerd/containerd.sock")
    add("--root-dir", type=Path, default=Path("/var/lib/pilothouse/kubelet"))
    add("--log-dir", type=Path, default=Path("/var/log/pods"), help="logs of pods")
    add("--cni-conf-dir", type=Path, default=Path("/etc/cni/net.d"))
    add("--cni-cache-dir", type=Path, help="addresses of pods; beside --cni-conf-dir else")
    add("--cni-bin-dir", type=Path, help="accepted; the runtime invokes the plugins")
    add("--cgroup-root", default="/kubepods")
    add("--pod-manifest-path", type=Path, help="directory of static pods")
    add("--resolv-conf", type=Path, default=Path("/etc/resolv.conf"))
    add("--address", default="", help="of the HTTPS server; the node's own when not given")
    add("--port", type=int, default=PORT)
    add("--tls-cert-file", type=Path, help="the client certificate serves when not given")
    add("--tls-private-key-file", type=Path)
    add("--client-ca-file", type=Path)
    add("--run-dir", type=Path, default=Path("/run/pilothouse"))
    add("--socket", type=Path, help="gRPC; RUN-DIR/kubelet-NODE.sock when not given")
    add("--cluster-dns", default="", help="addresses, comma separated")
    add("--cluster-domain", default="cluster.local")
    add("--max-pods", type=int, default=PODS_MAX)
    return parser
