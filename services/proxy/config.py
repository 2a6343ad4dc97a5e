"""What the proxy is told on its command line."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from pilothouse.services.runtime.rpc import flags as mesh
from pilothouse.services.runtime.rpc.tls import Identity


@dataclass(frozen=True, slots=True)
class Config:
    """``socket`` is where it serves gRPC; ``identity`` is None with a unix socket as server."""

    node_name: str
    server: str
    identity: Identity | None
    socket: Path
    cluster_cidr: str
    nodeport_addresses: tuple[str, ...]
    node_routes: bool
    cleanup: bool


def parse(argv: list[str]) -> Config:
    """Flags as kube-proxy names them, where it has them. Exits on a wrong one."""
    parser = argparse.ArgumentParser(prog="pilothouse proxy", description=__doc__)
    add = parser.add_argument
    add("--node-name", "--hostname-override", default="", help="this node's name")
    mesh.add_server(parser, "")
    add("--run-dir", type=Path, default=Path("/run/pilothouse"))
    add("--socket", type=Path, help="gRPC; RUN-DIR/proxy-NODE.sock when not given")
    add("--cluster-cidr", default="", help="addresses of pods; other clients are masqueraded")
    add("--nodeport-addresses", default="", help="CIDRs, comma separated, that serve node ports")
    add("--no-node-routes", action="store_true", help="something else routes between nodes")
    add("--cleanup", action="store_true", help="remove the table and the routes, then exit")
    flags = parser.parse_args(argv)
    if not flags.cleanup and not (flags.node_name and flags.server):
        parser.error("--node-name and --server are required")
    identity = None if flags.cleanup else mesh.identity(parser, flags)
    return Config(
        node_name=flags.node_name,
        server=flags.server,
        identity=identity,
        socket=flags.socket or flags.run_dir / f"proxy-{flags.node_name}.sock",
        cluster_cidr=flags.cluster_cidr,
        nodeport_addresses=tuple(filter(None, flags.nodeport_addresses.split(","))),
        node_routes=not flags.no_node_routes,
        cleanup=flags.cleanup,
    )
