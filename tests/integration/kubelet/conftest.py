"""One whole node for all tests of this folder."""

from collections.abc import Iterator

import pytest
from kit.whole_node import WholeNode, whole_node


@pytest.fixture(scope="session")
def node() -> Iterator[WholeNode]:
    with whole_node() as found:
        yield found
