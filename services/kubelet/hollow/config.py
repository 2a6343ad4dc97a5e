"""What the simulation is told on its command line."""

import argparse
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

from pilothouse.services.machinery import names, quantity
from pilothouse.services.runtime.rpc import flags as mesh
from pilothouse.services.runtime.rpc.tls import Identity

NODES_MAX = 100_000
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


@dataclass(frozen=True, slots=True)
class Shape:
    """What each node has to give; memory and storage in bytes."""

    cpus: int
    memory_bytes: int
    storage_bytes: int
    pods_max: int


@dataclass(frozen=True, slots=True)
class Config:
    """``nodes`` of them, numbered from ``first``; ``zones`` 0: they are in none.

    ``node_cidr`` is where nodes' addresses come from, ``pod_cidr`` those of pods on a node that
    nobody gave a ``spec.podCIDR``.
    """

    server: str
    identity: Identity | None
    nodes: int
    first: int
    prefix: str
    labels: Mapping[str, str]
    taints: Sequence[Mapping[str, str]]
    zones: int
    shape: Shape
    node_cidr: IPv4Network
    pod_cidr: IPv4Network


def parse(argv: list[str]) -> Config:
    """Flags as Kubernetes' kubelet names them, where it has them. Exits on a wrong one."""
    parser = _parser()
    flags = parser.parse_args(argv)
    identity = mesh.identity(parser, flags)
    if not 0 < flags.nodes <= NODES_MAX:
        parser.error(f"--nodes must be from 1 to {NODES_MAX}")
    if flags.node_ips.num_addresses <= flags.first + flags.nodes:
        parser.error(f"--node-cidr {flags.node_ips} has too few addresses")
    return Config(
        server=flags.server,
        identity=identity,
        nodes=flags.nodes,
        first=flags.first,
        prefix=flags.name_prefix,
        labels=flags.labels,
        taints=flags.register_with_taints,
        zones=flags.zones,
        shape=Shape(flags.cpu, flags.memory, flags.ephemeral_storage, flags.max_pods),
        node_cidr=flags.node_ips,
        pod_cidr=flags.pod_cidr,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pilothouse simulate", description=__doc__)
    add = parser.add_argument
    add("--nodes", type=int, required=True, metavar="N", help="how many")
    mesh.add_server(parser, "unix:///run/pilothouse/apiserver.sock")
    add("--first", type=int, default=0, metavar="N", help="number of the first node")
    add("--name-prefix", default="simulated-", help="of the nodes' names, before the number")
    add("--labels", "--node-labels", type=_labels, default={}, metavar="KEY=VALUE,…",
        help="beside those of every node and type=kwok")  # fmt: skip
    add("--register-with-taints", type=_taints, default=(), metavar="KEY=VALUE:EFFECT,…")
    add("--zones", type=int, default=0, metavar="N", help="spread the nodes over zone-0 to zone-N")
    add("--cpu", type=int, default=32, help="of each node")
    add("--memory", type=_bytes, default="256Gi")
    add("--ephemeral-storage", type=_bytes, default="1Ti")
    add("--max-pods", type=int, default=110)
    add("--node-cidr", dest="node_ips", type=ipaddress.IPv4Network, default="198.18.0.0/15",
        help="the nodes' own addresses")  # fmt: skip
    add("--pod-cidr", type=ipaddress.IPv4Network, default="100.64.0.0/10",
        help="addresses of pods on nodes without a spec.podCIDR")  # fmt: skip
    return parser


def _bytes(text: str) -> int:
    return quantity.ceiling(text)


def _labels(text: str) -> dict[str, str]:
    """``a=b,c=d``."""
    pairs = [item.partition("=") for item in text.split(",") if item]
    for key, equals, value in pairs:
        wrong = names.qualified(key) or names.label_value(value)
        if not equals or wrong:
            raise argparse.ArgumentTypeError(f"{key}{equals}{value} is no label: {wrong}")
    return {key: value for key, _, value in pairs}


def _taints(text: str) -> list[dict[str, str]]:
    """``key=value:effect,key:effect``."""
    made = []
    for item in text.split(","):
        named, colon, effect = item.rpartition(":")
        key, _, value = named.partition("=")
        if not colon or effect not in EFFECTS or names.qualified(key) or names.label_value(value):
            raise argparse.ArgumentTypeError(f"{item} is no taint: KEY=VALUE:{'|'.join(EFFECTS)}")
        made.append({"key": key, "effect": effect, **({"value": value} if value else {})})
    return made
