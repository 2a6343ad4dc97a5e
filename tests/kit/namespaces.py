"""Namespaces of tests."""

import contextlib
from collections.abc import Iterator
from typing import Any

from kit.cluster import Cluster
from kit.official import Official


@contextlib.contextmanager
def furnished(cluster: Cluster, client: Official, name: str, **metadata: Any) -> Iterator[str]:
    """A namespace with its default account; deleted afterwards, not awaited."""
    client.core.create_namespace({"metadata": {"name": name, **metadata}})
    try:
        cluster.eventually(
            "the default account", lambda: cluster.try_get("serviceaccount", "default", "-n", name)
        )
        yield name
    finally:
        client.core.delete_namespace(name, propagation_policy="Background")
