"""``pilothouse join``: make this machine a node of a cluster."""

import argparse
import json
import os
import shutil
import sys
from pathlib import Path

from pilothouse.ops.cli import machine
from pilothouse.ops.flags import mesh
from pilothouse.ops.local.cluster import POD_CIDR

SERVICES = ("kubelet", "proxy")
# Beside the configuration, as elsewhere, would be state in /etc.
CNI_CACHE = "/var/lib/cni"


def main(argv: list[str]) -> int:
    """Take the certificates over, write the units, start them."""
    parser = argparse.ArgumentParser(prog="join", description=__doc__)
    parser.add_argument("--server", required=True, help="address of the control plane")
    parser.add_argument(
        "--from-dir", required=True, type=Path, help="made by `pilothouse pki node` on the server"
    )
    parser.add_argument("--cluster-cidr", default=POD_CIDR, help="addresses of pods")
    parser.add_argument(
        "--container-runtime-endpoint", default="unix:///run/containerd/containerd.sock"
    )
    flags = parser.parse_args(argv)
    machine.require_root("join")
    about_node = flags.from_dir / "node.json"
    if not about_node.exists():
        sys.exit(f"join: {about_node} is not there; `pilothouse pki node` writes it")
    about = json.loads(about_node.read_text())
    name, address = about["name"], about["address"]
    _take_over(flags.from_dir)
    kubelet = [
        *mesh(flags.server, machine.PKI, f"kubelet-{name}"),
        f"--node-name={name}",
        f"--node-ip={address}",
        f"--container-runtime-endpoint={flags.container_runtime_endpoint}",
        f"--cni-cache-dir={CNI_CACHE}",
        "--fail-swap-on=false",
    ]
    proxy = [
        *mesh(flags.server, machine.PKI, f"proxy-{name}"),
        f"--node-name={name}",
        f"--cluster-cidr={flags.cluster_cidr}",
    ]
    machine.install("kubelet", kubelet)
    machine.install("proxy", proxy)
    machine.tell(machine.start(SERVICES), SERVICES)
    sys.stdout.write(f"{name} joins the cluster at {flags.server}\n")
    return 0


def _take_over(source: Path) -> None:
    machine.PKI.mkdir(parents=True, exist_ok=True)
    before = os.umask(0o077)
    try:
        for path in [*source.glob("*.crt"), *source.glob("*.key")]:
            shutil.copyfile(path, machine.PKI / path.name)
    finally:
        os.umask(before)
