"""``pilothouse pki node NAME``: a node's certificates, signed here, to be carried to the node."""

import argparse
import json
import os
import shutil
import sys
from pathlib import Path

from pilothouse.ops.cli import machine
from pilothouse.ops.pki import plan
from pilothouse.ops.pki.authority import Authority
from pilothouse.services.runtime.clock import SystemClock


def main(argv: list[str]) -> int:
    """Write the directory that ``pilothouse join --from-dir`` takes."""
    parser = argparse.ArgumentParser(prog="pki", description=__doc__)
    verbs = parser.add_subparsers(required=True)
    node = verbs.add_parser("node", help="sign the certificates of one node")
    node.add_argument("name")
    node.add_argument("--address", required=True, help="the node's own")
    node.add_argument("--out", required=True, type=Path, help="directory to write, mode 0700")
    flags = parser.parse_args(argv)
    machine.require_root("pki")
    if not (machine.PKI / "ca.key").exists():
        sys.stderr.write("pki: no authority here; `pilothouse server` makes it\n")
        return 1
    authority = Authority.open(machine.PKI, SystemClock())
    certificates = plan.node(flags.name, flags.address)
    for certificate in certificates:
        authority.ensure(certificate)
    flags.out.mkdir(mode=0o700, parents=True, exist_ok=True)
    files = ["ca.crt"]
    files += [f"{c.stem}.{kind}" for c in certificates for kind in ("crt", "key")]
    before = os.umask(0o077)
    try:
        for file in files:
            shutil.copyfile(machine.PKI / file, flags.out / file)
        about = {"name": flags.name, "address": flags.address}
        (flags.out / "node.json").write_text(json.dumps(about) + "\n")
    finally:
        os.umask(before)
    sys.stdout.write(f"{flags.out}: certificates of {flags.name}\n")
    return 0
