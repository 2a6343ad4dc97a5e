"""``pilothouse status``: which processes of a local cluster run."""

import argparse
import sys

from pilothouse.ops.local import cluster as clusters
from pilothouse.ops.local import status


def main(argv: list[str]) -> int:
    """Print the table; 0 when all run, 1 when one does not, 3 when there is no cluster."""
    parser = argparse.ArgumentParser(prog="status", description=__doc__)
    parser.add_argument("--name", default=clusters.DEFAULT_NAME, help="of the cluster")
    cluster = clusters.load(parser.parse_args(argv).name)
    if cluster is None:
        sys.stderr.write("status: there is no such cluster; `pilothouse up` makes one\n")
        return 3
    rows = status.rows(cluster)
    sys.stdout.write(status.table(rows) + "\n")
    return 0 if all(row[2] == "up" for row in rows) else 1
