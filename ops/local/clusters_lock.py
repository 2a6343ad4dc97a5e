"""One hand at a time on a cluster's processes."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from pilothouse.ops.local.cluster import Cluster


@contextmanager
def alone(cluster: Cluster) -> Iterator[None]:
    """Wait for whoever else brings the cluster up, then keep others out."""
    with (cluster.state / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
