"""The pytest plugin; it is found by itself where pilothouse is installed."""

import itertools
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pilothouse.ops.testing.control_plane import ControlPlane

_NUMBERS = itertools.count(1)
_NODES = "control_plane_nodes"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The ini option."""
    parser.addini(_NODES, "simulated nodes of the control_plane fixture", default="0")


@pytest.fixture(scope="session")
def control_plane_nodes(pytestconfig: pytest.Config) -> int:
    """How many simulated nodes ``control_plane`` has; the ini option of this name says it."""
    return int(pytestconfig.getini(_NODES))


@pytest.fixture(scope="session")
def control_plane(
    tmp_path_factory: pytest.TempPathFactory, control_plane_nodes: int
) -> Iterator["ControlPlane"]:
    """A real control plane, one for the whole session."""
    # A session that does not ask for it does not pay for its imports.
    from pilothouse.ops.testing.control_plane import start  # noqa: PLC0415 - as said

    with start(tmp_path_factory.mktemp("pilothouse"), control_plane_nodes) as plane:
        yield plane


@pytest.fixture
def control_plane_namespace(control_plane: "ControlPlane") -> Iterator[str]:
    """The name of a new namespace in it; deleted after the test."""
    name = f"test-{os.getpid()}-{next(_NUMBERS)}"
    control_plane.kubectl("create", "namespace", name)
    yield name
    control_plane.kubectl("delete", "namespace", name, "--wait=false")
