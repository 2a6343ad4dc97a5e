"""What is there from the first start on: namespaces, the API's own Service, priority classes."""

from collections.abc import Iterable, Iterator
from typing import Any

from pilothouse.services.apiserver.registry import Registry
from pilothouse.services.apiserver.requests import Target, User, WriteOptions
from pilothouse.services.machinery.errors import AlreadyExists, NotFound

Document = dict[str, Any]

SERVER = User("system:apiserver", ("system:masters",))
NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
SERVICE_PORT = 443
_CRITICAL = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}
_WHAT_FOR = {
    "system-cluster-critical": "Used for system critical pods that must run in the cluster, but "
    "can be moved to another node if necessary.",
    "system-node-critical": "Used for system critical pods that must not be moved from their "
    "current node.",
}
_API_LABELS = {"component": "apiserver", "provider": "kubernetes"}


async def bootstrap(
    registry: Registry,
    address: str,
    port: int,
    more: Iterable[tuple[Target, Document]],
    service_address: str = "10.96.0.1",
) -> None:
    """Create what is absent, and bring the API's endpoints in line with ``address:port``.

    ``more`` are the objects of others (roles), created in the same way.
    """
    for target, document in _objects(service_address, port):
        await _create(registry, target, document)
    for target, document in _endpoints(address, port):
        await _bring_up(registry, target, document)
    for target, document in more:
        await _create(registry, target, document)


async def _create(registry: Registry, target: Target, document: Document) -> None:
    kind = registry.parts.catalog.lookup(target.group, target.version, target.plural)
    name = document["metadata"]["name"]
    if registry.parts.cache.of(kind).get(Target("", "", "", target.namespace, name).key):
        return
    try:
        await registry.create(SERVER, target, document, WriteOptions())
    except AlreadyExists:
        return


async def _bring_up(registry: Registry, target: Target, document: Document) -> None:
    name = document["metadata"]["name"]
    named = Target(target.group, target.version, target.plural, target.namespace, name)
    try:
        await registry.update(SERVER, named, document, WriteOptions())
    except NotFound:
        await registry.create(SERVER, target, document, WriteOptions())


def _objects(service_address: str, port: int) -> Iterator[tuple[Target, Document]]:
    for name in NAMESPACES:
        yield (
            Target("", "v1", "namespaces"),
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}},
        )
    for name, value in _CRITICAL.items():
        yield (
            Target("scheduling.k8s.io", "v1", "priorityclasses"),
            {
                "apiVersion": "scheduling.k8s.io/v1",
                "kind": "PriorityClass",
                "metadata": {"name": name},
                "value": value,
                "description": _WHAT_FOR[name],
                "preemptionPolicy": "PreemptLowerPriority",
            },
        )
    yield (
        Target("", "v1", "services", "default"),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "kubernetes", "namespace": "default", "labels": {**_API_LABELS}},
            "spec": {
                "clusterIP": service_address,
                "ports": [
                    {"name": "https", "port": SERVICE_PORT, "protocol": "TCP", "targetPort": port}
                ],
            },
        },
    )


def _endpoints(address: str, port: int) -> Iterator[tuple[Target, Document]]:
    yield (
        Target("", "v1", "endpoints", "default"),
        {
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": {
                "name": "kubernetes",
                "namespace": "default",
                "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"},
            },
            "subsets": [
                {
                    "addresses": [{"ip": address}],
                    "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
                }
            ],
        },
    )
    yield (
        Target("discovery.k8s.io", "v1", "endpointslices", "default"),
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": "kubernetes",
                "namespace": "default",
                "labels": {"kubernetes.io/service-name": "kubernetes"},
            },
            "addressType": "IPv4",
            "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
            "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
        },
    )
