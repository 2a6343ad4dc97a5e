"""One real cluster for the tests of the whole; up once, taken down at the end.

It has a name, a port and a publish address of its own, so it stands beside a default cluster.
"""

import fcntl
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.cluster import EXAMPLE, NODES, Cluster

NAME = "test"
PORT = 17543
PUBLISH_ADDRESS = "127.0.0.2"
LOCK = Path(tempfile.gettempdir()) / "pilothouse-e2e.lock"


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The one cluster of the session, two nodes."""
    handle = Cluster(NAME, PORT, PUBLISH_ADDRESS)
    with LOCK.open("w") as lock:
        # A second run on the same machine waits instead of taking the first one's cluster down.
        fcntl.flock(lock, fcntl.LOCK_EX)
        handle.down()
        sys.stdout.write(handle.up("--nodes", str(NODES)))
        yield handle
        handle.down()


@pytest.fixture(scope="session")
def example(cluster: Cluster) -> Cluster:
    """The cluster with the seeds' example running."""
    if cluster.try_get("deployment", "ngx-deployment") is None:
        cluster.kubectl("create", "-f", str(EXAMPLE))
    cluster.eventually("example is 2/2", lambda: cluster.deployment_is("ngx-deployment", 2))
    return cluster


@pytest.fixture
def other_cluster() -> Iterator[Cluster]:
    """A second cluster for a test that takes it down itself."""
    handle = Cluster("other", 17643, "127.0.0.3")
    handle.down()
    yield handle
    handle.down()
