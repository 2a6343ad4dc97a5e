"""What a cluster is born with: namespaces, the Service of the API server, priority classes, roles.

Everything is created where it is absent and otherwise left as its owner made it, but for the
API server's own endpoints, which follow its address.
"""

from collections.abc import Sequence
from typing import Any

from pilothouse.services.apiserver.registry import Registry
from pilothouse.services.apiserver.requests import Target, User, WriteOptions
from pilothouse.services.machinery.errors import AlreadyExists

Body = dict[str, Any]
Wanted = tuple[Target, Body]

BOOTSTRAP = User(name="system:apiserver", groups=("system:masters",))
NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
HTTPS = 443
_SCHEDULING = "scheduling.k8s.io"
_DISCOVERY = "discovery.k8s.io"
_CRITICAL = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}


async def ensure(registry: Registry, wanted: Sequence[Wanted]) -> None:
    """Create what is absent, in order."""
    for target, body in wanted:
        try:
            await registry.create(BOOTSTRAP, target, body, WriteOptions())
        except AlreadyExists:
            continue


async def publish(registry: Registry, wanted: Sequence[Wanted]) -> None:
    """Create or replace: the endpoints of this very server."""
    for target, body in wanted:
        name = body["metadata"]["name"]
        at = Target(target.group, target.version, target.plural, target.namespace, name)
        try:
            await registry.create(BOOTSTRAP, target, body, WriteOptions())
        except AlreadyExists:
            await registry.update(BOOTSTRAP, at, body, WriteOptions())


def objects(service_ip: str) -> list[Wanted]:
    """Namespaces, the kubernetes Service at ``service_ip``, the two critical priority classes."""
    namespaces = Target("", "v1", "namespaces")
    wanted: list[Wanted] = [
        (namespaces, _object("v1", "Namespace", {"name": name})) for name in NAMESPACES
    ]
    classes = Target(_SCHEDULING, "v1", "priorityclasses")
    wanted += [
        (
            classes,
            {
                **_object(f"{_SCHEDULING}/v1", "PriorityClass", {"name": name}),
                "value": value,
                "description": "For pods without which the cluster or a node does not work.",
            },
        )
        for name, value in _CRITICAL.items()
    ]
    wanted.append((Target("", "v1", "services", "default"), _service(service_ip)))
    return wanted


def endpoints(address: str, port: int) -> list[Wanted]:
    """Where the kubernetes Service leads: the addresses of the API server."""
    ports = [{"name": "https", "port": port, "protocol": "TCP"}]
    core = _object("v1", "Endpoints", {"name": "kubernetes", "namespace": "default"})
    core["metadata"]["labels"] = {"endpointslice.kubernetes.io/skip-mirror": "true"}
    core["subsets"] = [{"addresses": [{"ip": address}], "ports": ports}]
    labels = {"kubernetes.io/service-name": "kubernetes"}
    metadata = {"name": "kubernetes", "namespace": "default", "labels": labels}
    sliced = _object(f"{_DISCOVERY}/v1", "EndpointSlice", metadata)
    sliced["addressType"] = "IPv4"
    sliced["endpoints"] = [{"addresses": [address], "conditions": {"ready": True}}]
    sliced["ports"] = ports
    return [
        (Target("", "v1", "endpoints", "default"), core),
        (Target(_DISCOVERY, "v1", "endpointslices", "default"), sliced),
    ]


def _service(service_ip: str) -> Body:
    labels = {"component": "apiserver", "provider": "kubernetes"}
    metadata = {"name": "kubernetes", "namespace": "default", "labels": labels}
    port = {"name": "https", "port": HTTPS, "protocol": "TCP", "targetPort": 6443}
    spec = {"type": "ClusterIP", "clusterIP": service_ip, "clusterIPs": [service_ip]}
    return {**_object("v1", "Service", metadata), "spec": {**spec, "ports": [port]}}


def _object(api_version: str, kind: str, metadata: Body) -> Body:
    return {"apiVersion": api_version, "kind": kind, "metadata": dict(metadata)}
