"""``pilothouse server``: the control plane on this machine, in its own network."""

import argparse
import sys

from pilothouse.ops.cli import machine
from pilothouse.ops.flags import API_PORT, ControlPlane, mesh, signing
from pilothouse.ops.local.cluster import POD_CIDR
from pilothouse.ops.pki import kubeconfig, plan
from pilothouse.ops.pki.authority import Authority
from pilothouse.services.runtime.clock import SystemClock

SERVICES = ("apiserver", "controllers", "scheduler")


def main(argv: list[str]) -> int:
    """Make the certificates and the units, start them, and say how nodes join."""
    parser = argparse.ArgumentParser(prog="server", description=__doc__)
    parser.add_argument("--address", required=True, help="of this machine, as nodes reach it")
    parser.add_argument("--hostname", action="append", default=[], help="more names for the API")
    parser.add_argument("--cluster-cidr", default=POD_CIDR, help="addresses of pods")
    flags = parser.parse_args(argv)
    machine.require_root("server")
    authority = Authority.open(machine.PKI, SystemClock())
    for certificate in plan.control_plane([flags.address], flags.hostname):
        authority.ensure(certificate)
    authority.ensure_service_account_key()
    server = f"https://{flags.address}:{API_PORT}"
    admin = machine.CONFIG / "admin.conf"
    kubeconfig.write(admin, cluster="pilothouse", server=server, pki=machine.PKI)
    control_plane = ControlPlane(
        flags.address, machine.PKI, machine.STATE, machine.RUN, bind_address="0.0.0.0"
    )
    machine.install("apiserver", control_plane.apiserver())
    controllers = [*mesh(flags.address, machine.PKI, "controllers"), *signing(machine.PKI)]
    machine.install("controllers", [*controllers, f"--cluster-cidr={flags.cluster_cidr}"])
    machine.install("scheduler", mesh(flags.address, machine.PKI, "scheduler"))
    machine.tell(machine.start(SERVICES), SERVICES)
    sys.stdout.write(f"""kubeconfig: {admin}

To add a node:
  here:      pilothouse pki node NAME --address ADDRESS --out NAME.d
  copy the directory NAME.d to the node (it holds the node's private keys), then
  there:     pilothouse join --from-dir NAME.d --server {flags.address}
""")
    return 0
