"""One real cluster of two nodes, looked at through kubectl and the official Python client.

It has a name, a port and a publish address of its own. ``CONFORMANCE_CLUSTER=NAME:PORT:ADDRESS``
chooses others, and ``CONFORMANCE_KEEP=1`` leaves it up, so that the next run need not wait.
``CONFORMANCE_RUNTIME=cri-shim`` lets our CRI server answer its kubelets instead of containerd's.
"""

import fcntl
import itertools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes
import pytest
from kit.cluster import NODES, Cluster
from kit.namespaces import furnished
from kit.official import Official
from kit.syllabus import Line, summary

_OUTCOMES = pytest.StashKey[dict[Line, set[str]]]()
_NUMBERS = itertools.count(1)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "conformance(line): the syllabus line this stands for")
    config.stash[_OUTCOMES] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if report.when == "call" or report.outcome != "passed":
        for mark in item.iter_markers("conformance"):
            item.config.stash[_OUTCOMES].setdefault(mark.args[0], set()).add(report.outcome)
    return report


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    outcomes = config.stash.get(_OUTCOMES, None)
    if outcomes:
        terminalreporter.section("conformance")
        for row in summary(outcomes):
            terminalreporter.write_line(row)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The one cluster of the session, two nodes."""
    given = os.environ.get("CONFORMANCE_CLUSTER", "conformance:17843:127.0.0.4")
    name, port, address = given.split(":")
    handle = Cluster(name, int(port), address)
    keep = bool(os.environ.get("CONFORMANCE_KEEP"))
    with (Path(tempfile.gettempdir()) / f"pilothouse-{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not keep:
            handle.down()
        runtime = os.environ.get("CONFORMANCE_RUNTIME", "containerd")
        handle.up("--nodes", str(NODES), "--container-runtime", runtime)
        yield handle
        if not keep:
            handle.down()


@pytest.fixture(scope="session")
def client(cluster: Cluster) -> Iterator[Official]:
    """The official Python client, as the cluster's administrator."""
    configuration = kubernetes.client.Configuration()
    kubernetes.config.load_kube_config(
        str(cluster.config / "admin.conf"), client_configuration=configuration
    )
    with kubernetes.client.ApiClient(configuration) as api:
        yield Official(api)


@pytest.fixture
def namespace(cluster: Cluster, client: Official) -> Iterator[str]:
    """A namespace of the test's own, with its default account; deleted afterwards, not awaited."""
    name = f"conformance-{os.getpid()}-{next(_NUMBERS)}"
    with furnished(cluster, client, name, labels={"conformance": "yes"}):
        yield name
