"""Nodes and pods by hand, for the scheduler's tests."""

import msgspec

from pilothouse.services.machinery.kinds.nodes import Node
from pilothouse.services.scheduler import candidate
from pilothouse.services.scheduler.candidate import Candidate
from pilothouse.services.scheduler.nodetable import NodeTable
from pilothouse.services.scheduler.views import Pod


def node(name, *, cpu="4", memory="8Gi", pods="110", labels=None, more=None, **spec):
    return msgspec.convert(
        {
            "metadata": {
                "name": name,
                "labels": {"kubernetes.io/hostname": name, **(labels or {})},
            },
            "spec": spec,
            "status": {"allocatable": {"cpu": cpu, "memory": memory, "pods": pods, **(more or {})}},
        },
        Node,
    )


def view(name, *, requests=None, labels=None, owner="", namespace="default", uid="", **spec):
    owners = [
        {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": owner,
         "controller": True}
    ] if owner else []  # fmt: skip
    ports = spec.pop("ports", [])
    return msgspec.convert(
        {
            "metadata": {
                "name": name,
                "namespace": namespace,
                "uid": uid or f"uid-{name}",
                "labels": labels or {},
                "ownerReferences": owners,
            },
            "spec": {
                "containers": [
                    {"name": "c", "resources": {"requests": requests or {}}, "ports": ports}
                ],
                **spec,
            },
        },
        Pod,
    )


def pod(name, **parts) -> Candidate:
    return candidate.from_pod(view(name, **parts))


def table_of(*nodes: Node) -> NodeTable:
    table = NodeTable()
    for item in nodes:
        table.put_node(item)
    return table
