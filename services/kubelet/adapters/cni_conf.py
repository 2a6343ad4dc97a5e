"""The CNI configuration that the runtime reads."""

import json
from pathlib import Path

from pilothouse.services.kubelet.adapters.machine import host
from pilothouse.services.kubelet.node import node

FILE = "10-pilothouse.conflist"


def write(directory: Path, pod_cidr: str, *, cache: Path | None = None, node_ip: str = "") -> bool:
    """Write it in one step, unless it is there already; whether it was written.

    ``cache`` is where pods' addresses are remembered, beside ``directory`` when not given; the
    bridge gets the MTU of the interface that has ``node_ip``.
    """
    networks = (cache or directory.parent / "cache") / "networks"
    mtu = host.mtu(host.interface_of(node_ip))
    wanted = json.dumps(node.conflist(pod_cidr, mtu, str(networks)), indent=2)
    path = directory / FILE
    if path.exists() and path.read_text() == wanted:
        return False
    directory.mkdir(parents=True, exist_ok=True)
    fresh = directory / f".{FILE}.new"
    fresh.write_text(wanted)
    fresh.replace(path)
    return True
