"""What is there from the first start on: namespaces, the API's own Service, priority classes."""

import contextlib
import ipaddress
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from pilothouse.services.apiserver.registry import Registry
from pilothouse.services.apiserver.requests import Target, User, WriteOptions
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.errors import AlreadyExists, Conflict, NotFound
from pilothouse.services.machinery.objects import Key

Document = dict[str, Any]

_OPTIONS = WriteOptions(agent="kube-apiserver")
SERVER = User("system:apiserver", ("system:masters",))
NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
SERVICE_PORT = 443
_RACES_MAX = 8
_PUBLISHED = frozenset({"subsets", "endpoints", "ports"})
Living = Callable[[], Awaitable[Sequence[str]]]
"""The addresses of all API servers that live."""
_CRITICAL = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}
_WHAT_FOR = {
    "system-cluster-critical": "Used for system critical pods that must run in the cluster, but "
    "can be moved to another node if necessary.",
    "system-node-critical": "Used for system critical pods that must not be moved from their "
    "current node.",
}
_MENDED = "rbac.authorization.kubernetes.io/autoupdate"
_API_LABELS = {"component": "apiserver", "provider": "kubernetes"}


async def bootstrap(
    registry: Registry,
    addresses: Sequence[str],
    port: int,
    more: Iterable[tuple[Target, Document]],
    service_range: str = "10.96.0.0/12",
) -> None:
    """Create what is absent, and bring the API's endpoints in line with ``addresses`` and ``port``.

    ``more`` are the objects of others (roles), created in the same way; those that an older server
    made get what they lack.
    """
    await registry.parts.claims.repair(registry.parts.cache.objects("", "services"))
    service_address = str(ipaddress.ip_network(service_range)[1])
    await _service_range(registry, service_range)
    for target, document in _objects(service_address, port):
        await _create(registry, target, document)

    async def living() -> Sequence[str]:
        return addresses

    await publish(registry, living, port)
    for target, document in more:
        await _create(registry, target, document)


async def publish(registry: Registry, living: Living, port: int) -> None:
    """Write down who serves the API, where that is not there yet; loopback reaches nobody.

    ``living`` is asked after what is there was read, and what is written replaces only that: of
    several servers that write at a time, none takes out another that came meanwhile.
    """
    for plural in ("endpoints", "endpointslices"):
        for _ in range(_RACES_MAX):
            await registry.parts.cache.wait_fresh()
            with contextlib.suppress(AlreadyExists, Conflict, NotFound):
                await _publish(registry, plural, living, port)
                break


async def _publish(registry: Registry, plural: str, living: Living, port: int) -> None:
    group = "" if plural == "endpoints" else "discovery.k8s.io"
    target = Target(group, "v1", plural, "default", "kubernetes")
    kind = registry.parts.catalog.lookup(group, "v1", plural)
    item = registry.parts.cache.of(kind).get(target.key)
    there = msgspec.json.decode(item.stored.json) if item is not None else None
    found = [each for each in await living() if not ipaddress.ip_address(each).is_loopback]
    if not found:
        return
    wanted = _endpoints(found, port) if plural == "endpoints" else _slice(found, port)
    if there is None:
        await registry.create(SERVER, replace(target, name=""), wanted, _OPTIONS)
        return
    if all(there.get(name) == value for name, value in wanted.items() if name in _PUBLISHED):
        return
    wanted["metadata"]["resourceVersion"] = there["metadata"]["resourceVersion"]
    await registry.update(SERVER, target, wanted, _OPTIONS)


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
    try:
        await registry.create(SERVER, target, document, _OPTIONS)
    except AlreadyExists:
        return
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
    present = registry.parts.cache.of(kind).get(Target("", "", "", target.namespace, name).key)
    if present is not None:
        there = msgspec.json.decode(present.stored.json)
        whole = mended(there, document)
        if whole != there:
            with contextlib.suppress(Conflict, NotFound):
                await registry.update(SERVER, replace(target, name=name), whole, _OPTIONS)
        return
    try:
        await registry.create(SERVER, target, document, _OPTIONS)
    except AlreadyExists:
        return


def mended(there: Document, wanted: Document) -> Document:
    """A role or binding of an older cluster with what it lacks, unless its owner forbids that.

    What was added by hand stays. The rules of an aggregated role are the aggregator's affair.
    """
    metadata, given = there.get("metadata") or {}, wanted["metadata"]
    notes = metadata.get("annotations") or {}
    if notes.get(_MENDED, given.get("annotations", {}).get(_MENDED)) != "true":
        return there
    whole = {**there, "metadata": {**metadata}}
    for field in ("labels", "annotations"):
        if field in given:
            whole["metadata"][field] = {**given[field], **(metadata.get(field) or {})}
    for field in ("aggregationRule", "rules", "subjects"):
        if field not in wanted or (field == "rules" and "aggregationRule" in wanted):
            continue
        present = there.get(field)
        if isinstance(wanted[field], list):
            lacking = [item for item in wanted[field] if item not in (present or ())]
            whole[field] = [*(present or ()), *lacking]
        elif present is None:
            whole[field] = wanted[field]
    return whole


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


def _endpoints(addresses: Sequence[str], port: int) -> Document:
    return {
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
    }


def _slice(addresses: Sequence[str], port: int) -> Document:
    return {
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
    }
