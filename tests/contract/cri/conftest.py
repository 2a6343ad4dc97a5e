"""One containerd, and one with our CRI server on it, for all tests of this folder."""

from collections.abc import Iterator

import pytest
from kit.containerd import Containerd, containerd
from kit.cri_shim import CriShim, cri_shim


@pytest.fixture(scope="session")
def containerd_runtime() -> Iterator[Containerd]:
    with containerd() as found:
        yield found


@pytest.fixture(scope="session")
def cri_shim_runtime() -> Iterator[CriShim]:
    with cri_shim() as found:
        yield found


@pytest.fixture(scope="session", params=["containerd", "cri_shim"])
def runtime(request: pytest.FixtureRequest) -> Containerd:
    """Every test that asks for it runs on both."""
    return request.getfixturevalue(f"{request.param}_runtime")
