"""What is there from the first start on: namespaces, the API's own Service, priority classes."""

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from pilothouse.services.apiserver.registry import Registry
from pilothouse.services.apiserver.requests import Target, User, WriteOptions
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.errors import AlreadyExists, NotFound
from pilothouse.services.machinery.objects import Key

Document = dict[str, Any]

_OPTIONS = WriteOptions(agent="kube-apiserver")
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
    addresses: Sequence[str],
    port: int,
    more: Iterable[tuple[Target, Document]],
    service_range: str = "10.96.0.0/12",
) -> None:
    """Create what is absent, and bring the API's endpoints in line with ``addresses`` and ``port``.

    ``more`` are the objects of others (roles), created in the same way.
    """
    await registry.parts.claims.repair(registry.parts.cache.objects("", "services"))
    service_address = str(ipaddress.ip_network(service_range)[1])
    for target, document in _objects(service_address, port):
        await _create(registry, target, document)
    await _service_range(registry, service_range)
    await publish(registry, addresses, port)
    for target, document in more:
        await _create(registry, target, document)


async def publish(registry: Registry, addresses: Sequence[str], port: int) -> None:
    """Write down who serves the API, where that is not there yet; loopback reaches nobody."""
    reached = [item for item in addresses if not ipaddress.ip_address(item).is_loopback]
    for target, document in _endpoints(reached, port) if reached else ():
        kind = registry.parts.catalog.lookup(target.group, target.version, target.plural)
        item = registry.parts.cache.of(kind).get(Key(target.namespace, "kubernetes"))
        there = msgspec.json.decode(item.stored.json) if item is not None else {}
        part = "subsets" if "subsets" in document else "endpoints"
        if there.get(part) != document[part] or there.get("ports") != document.get("ports"):
            await _bring_up(registry, target, document)


async def _service_range(registry: Registry, text: str) -> None:
    """The ServiceCIDR that Services get their addresses from."""
    target = Target("networking.k8s.io", "v1", "servicecidrs")
    kind = registry.parts.catalog.lookup(target.group, target.version, target.plural)
    if registry.parts.cache.of(kind).get(Key("", "kubernetes")):
        return
    document: Document = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": "kubernetes"},
        "spec": {"cidrs": [text]},
    }
    await _create(registry, target, document)
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "",
        "message": "Kubernetes Service CIDR is ready",
        "lastTransitionTime": timestamps.render(registry.parts.clock.now()),
    }
    status = replace(target, name="kubernetes", subresource="status")
    document["status"] = {"conditions": [ready]}
    await registry.update(SERVER, status, document, _OPTIONS)


async def _create(registry: Registry, target: Target, document: Document) -> None:
    kind = registry.parts.catalog.lookup(target.group, target.version, target.plural)
    name = document["metadata"]["name"]
    if registry.parts.cache.of(kind).get(Target("", "", "", target.namespace, name).key):
        return
    try:
        await registry.create(SERVER, target, document, _OPTIONS)
    except AlreadyExists:
        return


async def _bring_up(registry: Registry, target: Target, document: Document) -> None:
    name = document["metadata"]["name"]
    named = Target(target.group, target.version, target.plural, target.namespace, name)
    try:
        await registry.update(SERVER, named, document, _OPTIONS)
    except NotFound:
        await registry.create(SERVER, target, document, _OPTIONS)


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


def _endpoints(addresses: Sequence[str], port: int) -> Iterator[tuple[Target, Document]]:
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
                    "addresses": [{"ip": address} for address in addresses],
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
            "endpoints": [
                {"addresses": [address], "conditions": {"ready": True}} for address in addresses
            ],
            "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
        },
    )
