"""The schemas and levels that a cluster is born with, with upstream's names and numbers."""

from functools import lru_cache
from typing import Any

import msgspec

from pilothouse.services.apiserver.flow.schemas import (
    GROUP,
    VERSION,
    FlowSchema,
    PriorityLevel,
    read_level,
    read_schema,
)

AUTO_UPDATE = "apf.kubernetes.io/autoupdate-spec"
MANDATORY = frozenset({"exempt", "catch-all"})
Document = dict[str, Any]

_ANYBODY = ("Group/system:unauthenticated", "Group/system:authenticated")
_CONTROLLERS = "User/system:kube-controller-manager"
_SCHEDULER = "User/system:kube-scheduler"
_SYSTEM_ACCOUNTS = "ServiceAccount/kube-system:*"
_NODES = "Group/system:nodes"
_LEASES = ("coordination.k8s.io", ("leases",), False)

# Shares, percent lent, and queues, hand size and length limit; no queues: refused at once.
_LEVELS: dict[str, tuple[int, int, tuple[int, int, int] | None]] = {
    "catch-all": (5, 0, None),
    "global-default": (20, 50, (128, 6, 50)),
    "leader-election": (10, 0, (16, 4, 50)),
    "node-high": (40, 25, (64, 6, 50)),
    "system": (30, 33, (64, 6, 50)),
    "workload-high": (40, 50, (128, 6, 50)),
    "workload-low": (100, 90, (128, 6, 50)),
}
# Level, precedence, what tells flows apart, and who; of these, all requests.
_ALL_OF: dict[str, tuple[str, int, str, tuple[str, ...]]] = {
    "catch-all": ("catch-all", 10000, "ByUser", _ANYBODY),
    "exempt": ("exempt", 1, "", ("Group/system:masters",)),
    "global-default": ("global-default", 9900, "ByUser", _ANYBODY),
    "kube-controller-manager": ("workload-high", 800, "ByNamespace", (_CONTROLLERS,)),
    "kube-scheduler": ("workload-high", 800, "ByNamespace", (_SCHEDULER,)),
    "kube-system-service-accounts": ("workload-high", 900, "ByNamespace", (_SYSTEM_ACCOUNTS,)),
    "service-accounts": ("workload-low", 9000, "ByUser", ("Group/system:serviceaccounts",)),
    "system-nodes": ("system", 500, "ByUser", (_NODES,)),
}


def level_documents() -> list[Document]:
    """The PriorityLevelConfigurations."""
    exempt = {"nominalConcurrencyShares": 0, "lendablePercent": 0}
    specs: dict[str, Document] = {"exempt": {"type": "Exempt", "exempt": exempt}}
    for name, (shares, lent, queuing) in _LEVELS.items():
        response: Document = {"type": "Reject"}
        if queuing is not None:
            names = ("queues", "handSize", "queueLengthLimit")
            response = {"type": "Queue", "queuing": dict(zip(names, queuing, strict=True))}
        limited = {
            "nominalConcurrencyShares": shares,
            "lendablePercent": lent,
            "limitResponse": response,
        }
        specs[name] = {"type": "Limited", "limited": limited}
    return [_document("PriorityLevelConfiguration", name, spec) for name, spec in specs.items()]


def schema_documents() -> list[Document]:
    """The FlowSchemas."""
    every = _resources(("*",), "*", ("*",), True)
    anywhere = {"verbs": ["*"], "nonResourceURLs": ["*"]}
    specs = {
        name: _spec(level, precedence, method, who, [every], [anywhere])
        for name, (level, precedence, method, who) in _ALL_OF.items()
    }
    probes = {"verbs": ["get"], "nonResourceURLs": ["/healthz", "/readyz", "/livez"]}
    specs["probes"] = _spec("exempt", 2, "", _ANYBODY, [], [probes])
    electing = _resources(("get", "create", "update"), *_LEASES)
    electors = (_CONTROLLERS, _SCHEDULER, _SYSTEM_ACCOUNTS)
    specs["system-leader-election"] = _spec(
        "leader-election", 100, "ByUser", electors, [electing], []
    )
    own = [_resources(("*",), "", ("nodes", "nodes/status"), True), _resources(("*",), *_LEASES)]
    specs["system-node-high"] = _spec("node-high", 400, "ByUser", (_NODES,), own, [])
    return [_document("FlowSchema", name, spec) for name, spec in specs.items()]


@lru_cache(maxsize=2)
def standard_levels(*, mandatory: bool = False) -> tuple[PriorityLevel, ...]:
    """The levels as read; only those that must be there, if so asked."""
    found = (read_level(msgspec.json.encode(each)) for each in level_documents())
    return tuple(each for each in found if not mandatory or each.metadata.name in MANDATORY)


@lru_cache(maxsize=2)
def standard_schemas(*, mandatory: bool = False) -> tuple[FlowSchema, ...]:
    """The schemas as read; only those that must be there, if so asked."""
    found = (read_schema(msgspec.json.encode(each)) for each in schema_documents())
    return tuple(each for each in found if not mandatory or each.metadata.name in MANDATORY)


def _document(kind: str, name: str, spec: Document) -> Document:
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": kind,
        "metadata": {"name": name, "annotations": {AUTO_UPDATE: "true"}},
        "spec": spec,
    }


def _spec(
    level: str,
    precedence: int,
    method: str,
    who: tuple[str, ...],
    resources: list[Document],
    paths: list[Document],
) -> Document:
    rule: Document = {"subjects": [_subject(each) for each in who]}
    if resources:
        rule["resourceRules"] = resources
    if paths:
        rule["nonResourceRules"] = paths
    spec: Document = {
        "priorityLevelConfiguration": {"name": level},
        "matchingPrecedence": precedence,
    }
    if method:
        spec["distinguisherMethod"] = {"type": method}
    spec["rules"] = [rule]
    return spec


def _subject(text: str) -> Document:
    kind, _, name = text.partition("/")
    if kind == "ServiceAccount":
        namespace, _, name = name.partition(":")
        return {"kind": kind, "serviceAccount": {"name": name, "namespace": namespace}}
    return {"kind": kind, kind.lower(): {"name": name}}


def _resources(
    verbs: tuple[str, ...], group: str, resources: tuple[str, ...], cluster: bool
) -> Document:
    rule: Document = {
        "verbs": list(verbs),
        "apiGroups": [group],
        "resources": list(resources),
        "namespaces": ["*"],
    }
    return rule | {"clusterScope": True} if cluster else rule
