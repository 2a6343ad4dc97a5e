"""Sees to it that a local cluster has a supervisor: each of the two restarts the other.

It sleeps until the supervisor ends. A supervisor that was told to stop ends its guardian first, so
an end that the guardian lives to see is a crash: what the dead one left behind is ended (pods go
on under their shims) and a new supervisor starts everything anew.
"""

import argparse
import os
import select
import signal
from collections.abc import Sequence

import setproctitle

from pilothouse.ops.local import bring_up, clusters_lock, processes
from pilothouse.ops.local.cluster import load

NAME = "guardian"


def main(argv: Sequence[str]) -> int:
    """Wait for the end of the process that started this one, and put another in its place."""
    parser = argparse.ArgumentParser(prog=f"pilothouse {NAME}", description=__doc__)
    parser.add_argument("cluster")
    name = parser.parse_args(argv).cluster
    setproctitle.setproctitle(f"pilothouse {NAME}")
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _wait_end(os.getppid())
    cluster = load(name)
    if cluster is None:
        return 0
    with clusters_lock.alone(cluster):
        if not processes.named(cluster.run / "pids", "supervisor"):
            bring_up.end_services(cluster)
            bring_up.start_supervisor(cluster)
    return 0


def _wait_end(pid: int) -> None:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        select.select([descriptor], [], [])
    finally:
        os.close(descriptor)
