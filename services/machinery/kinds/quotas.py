"""What objects count for in a ResourceQuota, and which quotas they fall under; on plain JSON."""

from collections.abc import Callable, Iterable, Mapping
from decimal import ROUND_CEILING, Decimal
from typing import Any

from pilothouse.services.machinery import quantity, timestamps
from pilothouse.services.machinery.kinds import qos
from pilothouse.services.machinery.kinds.totals import HUGE, Amounts, parsed, pod_amounts, rendered
from pilothouse.services.machinery.objects import Metadata, View

Document = Mapping[str, Any]

COUNT = "count/"
ONE = Decimal(1)
COUNTED = frozenset(
    {
        "pods", "services", "replicationcontrollers", "resourcequotas", "secrets", "configmaps",
        "persistentvolumeclaims",
    }
)  # fmt: skip
"""Kinds of the core group that quotas also know by their plain name."""

COMPUTE = frozenset(
    {"cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"}
)
_BOUNDED = ("cpu", "memory", "ephemeral-storage")
_STORAGE_CLASS = ".storageclass.storage.k8s.io/"
_DEVICES = ".deviceclass.resource.k8s.io/devices"
_DEVICES_MAX = 32
"""What a request for all devices of a class may get."""
_BETA_CLASS = "volume.beta.kubernetes.io/storage-class"
_ENDED = frozenset({"Succeeded", "Failed"})


class Bounds(View, frozen=True, kw_only=True):
    hard: dict[str, str | int | float] = {}


class ResourceQuota(View, frozen=True, kw_only=True):
    """What it bounds; its use is counted from documents."""

    metadata: Metadata = Metadata()
    spec: Bounds = Bounds()


def count_name(group: str, plural: str) -> str:
    """``count/deployments.apps``."""
    return f"{COUNT}{plural}.{group}" if group else COUNT + plural


def counted_kind(name: str) -> tuple[str, str]:
    """Group and plural of the kind whose objects use a resource of this plain name."""
    if name in COUNTED:
        return "", name
    if name.startswith("services."):
        return "", "services"
    if name == "requests.storage" or _STORAGE_CLASS in name:
        return "", "persistentvolumeclaims"
    if name.endswith(_DEVICES):
        return "resource.k8s.io", "resourceclaims"
    return "", "pods"


def usage(group: str, plural: str, document: Document, now: float | None = None) -> Amounts:
    """What one object uses of every resource that a quota could bound, at ``now``."""
    used: Amounts = {count_name(group, plural): ONE}
    if group == "resource.k8s.io" and plural == "resourceclaims":
        used.update(_devices(document.get("spec") or {}))
    if group:
        return used
    if plural == "pods":
        if not has_ended(document, now):
            used.update(_pod(document.get("spec") or {}))
        return used
    if plural in COUNTED:
        used[plural] = ONE
    if plural == "services":
        used.update(_service(document.get("spec") or {}))
    elif plural == "persistentvolumeclaims":
        used.update(_claim(document))
    return used


def has_ended(pod: Document, now: float | None = None) -> bool:
    """Whether its containers will never run again, or should have been gone at ``now``."""
    if (pod.get("status") or {}).get("phase") in _ENDED:
        return True
    metadata = pod.get("metadata") or {}
    grace, gone = metadata.get("deletionGracePeriodSeconds"), metadata.get("deletionTimestamp")
    if now is None or grace is None or not gone:
        return False
    return now > timestamps.parse(gone) + float(grace)


def _pod(spec: Document) -> Amounts:
    used: Amounts = {"pods": ONE}
    for name, amount in pod_amounts(spec, "requests").items():
        used[f"requests.{name}"] = amount
        if name in _BOUNDED or name.startswith(HUGE):
            used[name] = amount
    for name, amount in pod_amounts(spec, "limits").items():
        if name in _BOUNDED:
            used[f"limits.{name}"] = amount
    return used


def _service(spec: Document) -> Amounts:
    kind, ports = spec.get("type", "ClusterIP"), len(spec.get("ports") or ())
    balanced = kind == "LoadBalancer"
    if balanced and spec.get("allocateLoadBalancerNodePorts") is False:
        ports = sum(1 for port in spec.get("ports") or () if port.get("nodePort"))
    return {
        "services.nodeports": Decimal(ports if balanced or kind == "NodePort" else 0),
        "services.loadbalancers": Decimal(1 if balanced else 0),
    }


def _claim(document: Document) -> Amounts:
    spec, used = document.get("spec") or {}, Amounts()
    annotations = (document.get("metadata") or {}).get("annotations") or {}
    class_ = annotations.get(_BETA_CLASS) or spec.get("storageClassName")
    if class_:
        used[f"{class_}{_STORAGE_CLASS}persistentvolumeclaims"] = ONE
    size = parsed((spec.get("resources") or {}).get("requests")).get("storage")
    if size is None:
        return used
    allocated = parsed((document.get("status") or {}).get("allocatedResources")).get("storage")
    size = max(size, allocated or size).to_integral_value(ROUND_CEILING)
    used["requests.storage"] = size
    if class_:
        used[f"{class_}{_STORAGE_CLASS}requests.storage"] = size
    return used


def _devices(spec: Document) -> Amounts:
    """Of alternatives that which takes most counts, for each class."""
    used: Amounts = {}
    for request in (spec.get("devices") or {}).get("requests") or ():
        most: Amounts = {}
        for choice in request.get("firstAvailable") or (request.get("exactly") or {},):
            if name := choice.get("deviceClassName"):
                field = name + _DEVICES
                most[field] = max(most.get(field, Decimal(0)), _asked(choice))
        for field, amount in most.items():
            used[field] = used.get(field, Decimal(0)) + amount
    return used


def _asked(request: Document) -> Decimal:
    if request.get("allocationMode") == "All":
        return Decimal(_DEVICES_MAX)
    return Decimal(request.get("count", 1))


def bounds(quota: Document) -> Mapping[str, Any]:
    """The resources that a quota's status says it bounds."""
    found: Mapping[str, Any] = (quota.get("status") or {}).get("hard") or {}
    return found


def applies(quota: Document, group: str, plural: str, document: Document) -> bool:
    """Whether an object falls under the scopes of a quota; only pods and claims have scopes."""
    spec = quota.get("spec") or {}
    wanted = [{"scopeName": name, "operator": "Exists"} for name in spec.get("scopes") or ()]
    wanted += (spec.get("scopeSelector") or {}).get("matchExpressions") or ()
    if not wanted:
        return True
    if group or plural not in {"pods", "persistentvolumeclaims"}:
        return False
    return all(_in_scope(item, plural, document) for item in wanted)


def _in_scope(item: Document, plural: str, document: Document) -> bool:
    name = item.get("scopeName")
    if name == "VolumeAttributesClass":
        return plural == "persistentvolumeclaims" and any(
            _selected(item, class_) for class_ in _attribute_classes(document)
        )
    if plural != "pods":
        return False
    rule = _POD_SCOPES.get(str(name))
    return rule is not None and rule(item, document.get("spec") or {})


def _attribute_classes(claim: Document) -> set[str | None]:
    """Those that it has, asks for and is on its way to; None where there is none."""
    spec, status = claim.get("spec") or {}, claim.get("status") or {}
    found = {
        spec.get("volumeAttributesClassName"),
        status.get("currentVolumeAttributesClassName"),
        (status.get("modifyVolumeStatus") or {}).get("targetVolumeAttributesClassName"),
    }
    return {name for name in found if name} or {None}


def _selected(item: Document, value: str | None) -> bool:
    match item.get("operator"):
        case "In":
            return value in (item.get("values") or ())
        case "NotIn":
            return value not in (item.get("values") or ())
        case "DoesNotExist":
            return not value
    return bool(value)


def _terms(affinity: Document) -> Iterable[Document]:
    for side in ("podAffinity", "podAntiAffinity"):
        near = affinity.get(side) or {}
        yield from near.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
        for term in near.get("preferredDuringSchedulingIgnoredDuringExecution") or ():
            yield term.get("podAffinityTerm") or {}


def _crosses(term: Document) -> bool:
    return bool(term.get("namespaces")) or term.get("namespaceSelector") is not None


_POD_SCOPES: Mapping[str, Callable[[Document, Document], bool]] = {
    "BestEffort": lambda _, spec: qos.of(dict(spec)) == "BestEffort",
    "NotBestEffort": lambda _, spec: qos.of(dict(spec)) != "BestEffort",
    "Terminating": lambda _, spec: spec.get("activeDeadlineSeconds") is not None,
    "NotTerminating": lambda _, spec: spec.get("activeDeadlineSeconds") is None,
    "PriorityClass": lambda item, spec: _selected(item, spec.get("priorityClassName")),
    "CrossNamespacePodAffinity": lambda _, spec: any(
        map(_crosses, _terms(spec.get("affinity") or {}))
    ),
}


def total(names: Iterable[str], used: Iterable[Amounts]) -> dict[str, str]:
    """``status.used``: what all objects use of these resources, as text."""
    wanted = frozenset(names)
    sums = dict.fromkeys(wanted, Decimal(0))
    for amounts in used:
        for name in amounts.keys() & wanted:
            sums[name] += amounts[name]
    return {name: rendered(name, sums[name]) for name in sorted(sums)}


def missing(spec: Document, names: Iterable[str]) -> dict[str, list[str]]:
    """Containers that do not say what they need of a bounded resource, by resource."""
    wanted = COMPUTE & frozenset(names)
    resources = spec.get("resources") or {}
    found: dict[str, list[str]] = {}
    if not wanted or resources.get("requests") or resources.get("limits"):
        return found
    for member in ("containers", "initContainers"):
        for container in spec.get(member) or ():
            asked = container.get("resources") or {}
            told = set(asked.get("requests") or ())
            told |= {f"requests.{name}" for name in asked.get("requests") or ()}
            told |= {f"limits.{name}" for name in asked.get("limits") or ()}
            for name in wanted - told:
                found.setdefault(name, []).append(container.get("name", ""))
    return found


def over(
    hard: Mapping[str, Any], used: Mapping[str, Any], asked: Amounts
) -> tuple[dict[str, str], list[str]]:
    """``status.used`` after ``asked``, and the resources that would then be over ``hard``."""
    after: dict[str, str] = dict(used)
    exceeded = []
    for name in asked.keys() & hard.keys():
        if not asked[name]:
            continue
        amount = max(Decimal(0), quantity.parse(used.get(name, 0)) + asked[name])
        after[name] = rendered(name, amount)
        if asked[name] > 0 and amount > quantity.parse(hard[name]):
            exceeded.append(name)
    return after, sorted(exceeded)
