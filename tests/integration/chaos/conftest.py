"""A containerd that is killed, rebooted and filled: nobody else's."""

import os
from collections.abc import Iterator

import pytest
from kit.containerd import Containerd, containerd

ALL = bool(os.environ.get("PILOTHOUSE_TEST_ALL"))
"""Whether the long ones run too: ``ops/test --all``."""


@pytest.fixture(scope="session")
def runtime() -> Iterator[Containerd]:
    with containerd() as found:
        yield found


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "long: runs with ops/test --all only")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if ALL:
        return
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(pytest.mark.skip(reason="long: ops/test --all"))
