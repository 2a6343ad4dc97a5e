"""What the server, and not the client, decides about objects of certain kinds."""

from dataclasses import dataclass
from typing import Any

from pilothouse.services.apiserver.kinds.kind import Kind
from pilothouse.services.apiserver.objects.metadata import FREE
from pilothouse.services.apiserver.strategies.pod import pod_birth
from pilothouse.services.apiserver.strategies.workload.batch import own_selector

Document = dict[str, Any]

EVENT_SECONDS = 3600
EXTERNAL = frozenset({"NodePort", "LoadBalancer"})
_UNCOUNTED = frozenset(
    {"services", "nodes", "namespaces", "persistentvolumes", "persistentvolumeclaims",
     "resourcequotas", "certificatesigningrequests", "volumeattachments",
     "horizontalpodautoscalers", "apiservices", "resourceclaims", "servicecidrs",
     "podcertificaterequests", "storageversionmigrations"}
)  # fmt: skip
_COUNTED = frozenset(
    {"endpointslices", "networkpolicies", "ingressclasses", "podtemplates", "priorityclasses",
     "deviceclasses", "resourceslices", "mutatingwebhookconfigurations",
     "validatingwebhookconfigurations", "mutatingadmissionpolicies",
     "mutatingadmissionpolicybindings", "validatingadmissionpolicybindings"}
)  # fmt: skip
# A status is written beside the metadata of these, as of custom kinds.
_META_APART = frozenset(
    {"apiservices", "flowschemas", "prioritylevelconfigurations", "podcertificaterequests",
     "resourceclaims", "storageversionmigrations", "validatingadmissionpolicies",
     "volumeattachments"}
)  # fmt: skip
_META_OF_WHOLE = frozenset({"ephemeralcontainers", "resize"})
_META_FIXED = {"deployments": ("labels",), "pods": ("ownerReferences",)}


@dataclass(frozen=True, slots=True)
class Ways:
    """How the server treats objects of a kind.

    ``brings_status``: whoever creates it tells its status too, as kubelets do of nodes.
    ``counts``: ``metadata.generation`` counts changes of the spec. ``orphans``: a delete without
    a policy leaves dependents. ``ttl_seconds`` of 0 is for ever.
    """

    has_status: bool
    brings_status: bool
    counts: bool
    orphans: bool
    ttl_seconds: int


def ways_of(kind: Kind, event_seconds: int = EVENT_SECONDS) -> Ways:
    """The ways of a kind; events are kept for so long."""
    if kind.custom is not None:
        return Ways(
            has_status=kind.custom.has_status, brings_status=False, counts=True, orphans=False,
            ttl_seconds=0,
        )  # fmt: skip
    has_status = "status" in kind.subresources
    return Ways(
        has_status=has_status,
        brings_status=kind.native == "nodes",
        counts=kind.native in _COUNTED or (has_status and kind.native not in _UNCOUNTED),
        orphans=kind.native in {"replicationcontrollers", "jobs"},
        ttl_seconds=event_seconds if kind.native == "events" else 0,
    )


# Counts that a status always tells, even before anybody has counted.
_UNBORN: dict[str, Document] = {
    "daemonsets": {
        "currentNumberScheduled": 0,
        "numberMisscheduled": 0,
        "desiredNumberScheduled": 0,
        "numberReady": 0,
    },
    "horizontalpodautoscalers": {"desiredReplicas": 0},
    "ingresses": {"loadBalancer": {}},
    "poddisruptionbudgets": {
        "disruptionsAllowed": 0,
        "currentHealthy": 0,
        "desiredHealthy": 0,
        "expectedPods": 0,
    },
    "replicasets": {"replicas": 0},
    "replicationcontrollers": {"replicas": 0},
    "statefulsets": {"replicas": 0, "availableReplicas": 0},
    "volumeattachments": {"attached": False},
}


def _date_taints(document: Document) -> None:
    """Taints of devices say since when they are there."""
    spec = document.get("spec") or {}
    devices = spec.get("devices") or ()
    for taint in (
        spec.get("taint"),
        *(one for item in devices for one in item.get("taints") or ()),
    ):
        if taint and not taint.get("timeAdded"):
            taint["timeAdded"] = document["metadata"]["creationTimestamp"]


def born(kind: Kind, document: Document) -> list[str]:
    """What a new object gets after its defaults; the warnings to give."""
    match kind.native:
        case "pods":
            return pod_birth.born(document)
        case "namespaces":
            _namespace(document)
        case "services":
            document["status"] = {"loadBalancer": {}}
        case "jobs":
            document["status"] = {}
            own_selector(document)
        case "persistentvolumes" | "persistentvolumeclaims":
            document["status"] = {"phase": "Pending"}
        case "devicetaintrules" | "resourceslices":
            _date_taints(document)
        case _:
            if kind.custom is None and ways_of(kind).has_status:
                document.setdefault("status", {**_UNBORN.get(kind.native, {})})
    return []


def _namespace(document: Document) -> None:
    document.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])
    document["status"] = {"phase": "Active"}


def kept(kind: Kind, new: Document, old: Document) -> None:
    """What an update may leave out because the server gave it."""
    if kind.native == "namespaces":
        new.setdefault("spec", {})["finalizers"] = old.get("spec", {}).get("finalizers", [])
        if not new["spec"]["finalizers"]:
            del new["spec"]["finalizers"]
    elif kind.native == "services":
        _keep_service(new.get("spec") or {}, old["spec"])


def _keep_service(spec: Document, before: Document) -> None:
    """Addresses and node ports stay while the type allows them."""
    type_ = spec.get("type", "ClusterIP")
    if "ExternalName" not in {type_, before["type"]}:
        for field in ("clusterIP", "clusterIPs"):
            if not spec.get(field) and before.get(field):
                spec[field] = before[field]
        # Old clients know of one address only.
        if spec.get("clusterIP") != before.get("clusterIP") and (
            before.get("clusterIPs") and spec.get("clusterIPs") == before["clusterIPs"]
        ):
            spec["clusterIPs"] = [spec["clusterIP"], *before["clusterIPs"][1:]]
    if type_ in EXTERNAL:
        _keep_node_ports(spec, before)
    elif before["type"] in EXTERNAL:
        _drop_external(spec, before)


def _keep_node_ports(spec: Document, before: Document) -> None:
    given = {
        (port.get("protocol"), port.get("port")): port["nodePort"]
        for port in before.get("ports") or ()
        if port.get("nodePort")
    }
    taken = {port.get("nodePort") for port in spec.get("ports") or ()}
    for port in spec.get("ports") or ():
        number = given.get((port.get("protocol", "TCP"), port.get("port")))
        if number and not port.get("nodePort") and number not in taken:
            port["nodePort"] = number


def _drop_external(spec: Document, before: Document) -> None:
    """What belonged to NodePort or LoadBalancer goes with it, unless it was changed."""
    given = {port.get("nodePort") for port in before.get("ports") or ()}
    for port in spec.get("ports") or ():
        if port.get("nodePort") in given:
            port.pop("nodePort", None)
    for field in ("externalTrafficPolicy", "allocateLoadBalancerNodePorts"):
        if field in spec and spec[field] == before.get(field):
            del spec[field]


def combine(kind: Kind, part: str, new: Document, old: Document) -> Document:
    """What a write of ``part`` (empty: the object itself) may change of ``old``; apart from
    ``metadata``, which the caller has set.
    """
    result = dict(new)
    if part == "":
        if ways_of(kind).has_status:
            _take(result, "status", old)
        return result
    result = dict(old)
    if part == "finalize":
        finalizers = (new.get("spec") or {}).get("finalizers") or []
        result["spec"] = {**(old.get("spec") or {}), "finalizers": finalizers}
        return result
    _take(result, "status", new)
    if kind.native == "pods":
        _keep_quality(result, old)
    return result


def _keep_quality(pod: Document, old: Document) -> None:
    """What kubelets leave out of a status and have no say in."""
    status = {**(pod.get("status") or {})}
    for field in ("qosClass", "observedGeneration"):
        if not status.get(field) and (before := (old.get("status") or {}).get(field)):
            status[field] = before
    pod["status"] = status


def _take(document: Document, member: str, source: Document) -> None:
    if member in source:
        document[member] = source[member]
    else:
        document.pop(member, None)


def part_metadata(kind: Kind, part: str, new: Document, old: Document) -> Document:
    """The free metadata after a write of ``part``: as sent, but for what stays."""
    fixed = fixed_metadata(kind, part)
    result = {**new}
    for field in fixed:
        _take(result, field, old)
    return result


def fixed_metadata(kind: Kind, part: str) -> tuple[str, ...]:
    """What of the metadata stays when ``part`` is written."""
    if kind.custom is not None or kind.native in _META_APART or part in _META_OF_WHOLE:
        return FREE
    return _META_FIXED.get(kind.native, ()) if part == "status" else ()
