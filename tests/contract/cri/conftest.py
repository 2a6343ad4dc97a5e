"""One containerd for all tests of this folder."""

from collections.abc import Iterator

import pytest
from kit.containerd import Containerd, containerd


@pytest.fixture(scope="session")
def runtime() -> Iterator[Containerd]:
    with containerd() as found:
        yield found
