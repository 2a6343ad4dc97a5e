"""``pilothouse down``: the machine as it was before ``up``."""

import argparse
import os
import sys

from pilothouse.ops.local import cluster as clusters
from pilothouse.ops.local.progress import Progress
from pilothouse.ops.local.take_down import take_down
from pilothouse.services.runtime.clock import SystemClock


def main(argv: list[str]) -> int:
    """Take down one cluster or all; 0 also when there is none."""
    parser = argparse.ArgumentParser(prog="down", description=__doc__)
    parser.add_argument("--name", default=clusters.DEFAULT_NAME, help="of the cluster")
    parser.add_argument("--all", action="store_true", help="every local cluster")
    parser.add_argument(
        "--keep-state", action="store_true", help="keep objects, images and certificates for `up`"
    )
    flags = parser.parse_args(argv)
    if os.geteuid() != 0:
        sys.stderr.write("down: must run as root\n")
        return 1
    progress = Progress(SystemClock())
    for name in clusters.names() if flags.all else [flags.name]:
        try:
            cluster = clusters.load(name) or clusters.Cluster(name)
            undone = take_down(cluster, keep_state=flags.keep_state)
        except (ValueError, OSError) as error:
            sys.stderr.write(f"down: {name}: {error}\n")
            return 1
        progress.say(f"{name}: {len(undone)} changes undone" if undone else f"{name}: not there")
    return 0
