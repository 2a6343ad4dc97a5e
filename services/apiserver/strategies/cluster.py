"""Namespaces, nodes, leases, and classes of priority and of runtimes."""

import re

from pilothouse.services.apiserver.strategies.pod.placement import EFFECTS, check_tolerations
from pilothouse.services.apiserver.strategies.quantities import check_amount, check_requirements
from pilothouse.services.apiserver.strategies.strategy import Body, Strategy, immutable
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause

NAMESPACE_NAME = "kubernetes.io/metadata.name"
PRIORITY_MAX = 1_000_000_000
SYSTEM = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}
_PREEMPTION = ("Never", "PreemptLowerPriority")
_COORDINATED = ("OldestEmulationVersion",)
_POD_CIDR = 'node updates may not change podCIDR except from "" to valid'
_PROVIDER = 'node updates may not change providerID except from "" to valid'
_STANDARD_FINALIZERS = frozenset({"kubernetes", "orphan", "foregroundDeletion"})
_RESERVED = "priority class names with 'system-' prefix are reserved for system use only. error: "
_SYSTEM_PREFIX = re.compile("system-")


def _default_namespace(body: Body) -> None:
    metadata = body.setdefault("metadata", {})
    if name := metadata.get("name"):
        metadata.setdefault("labels", {})[NAMESPACE_NAME] = name


def _check_namespace(body: Body) -> list[Cause]:
    causes: list[Cause] = []
    for finalizer in (body.get("spec") or {}).get("finalizers") or ():
        field = "spec.finalizers"
        causes += names.check(names.qualified, finalizer, field)
        if "/" not in finalizer and finalizer not in _STANDARD_FINALIZERS:
            detail = "name is neither a standard finalizer name nor is it fully qualified"
            causes.append(names.invalid(field, finalizer, detail))
    return causes


def _check_namespace_status(new: Body, old: Body) -> list[Cause]:
    phase = (new.get("status") or {}).get("phase", "Active")
    going = "deletionTimestamp" in old["metadata"]
    wanted = "Terminating" if going else "Active"
    if phase == wanted:
        return []
    state = "not empty" if going else "empty"
    detail = f"may only be '{wanted}' if `deletionTimestamp` is {state}"
    return [names.invalid("status.Phase", phase, detail)]


def _default_node(body: Body) -> None:
    status = body.get("status") or {}
    if status.get("capacity") and status.get("allocatable") is None:
        status["allocatable"] = dict(status["capacity"])
    spec = body.get("spec") or {}
    if spec.get("podCIDR") and not spec.get("podCIDRs"):
        spec["podCIDRs"] = [spec["podCIDR"]]
    elif spec.get("podCIDRs") and not spec.get("podCIDR"):
        spec["podCIDR"] = spec["podCIDRs"][0]


def _check_node(body: Body) -> list[Cause]:
    spec = body.get("spec") or {}
    causes: list[Cause] = []
    seen: set[tuple[str, str]] = set()
    for index, taint in enumerate(spec.get("taints") or ()):
        where = f"metadata.taints[{index}]"
        key, effect = taint.get("key", ""), taint.get("effect", "")
        causes += names.check(names.qualified, key, f"{where}.key")
        causes += names.check(names.label_value, taint.get("value", ""), f"{where}.value")
        if not effect:
            causes.append(names.required(f"{where}.effect"))
        elif effect not in EFFECTS:
            causes.append(names.unsupported(f"{where}.effect", effect, EFFECTS))
        if (key, effect) in seen:
            told = names.duplicate(where, taint)
            detail = "taints must be unique by key and effect pair"
            causes.append(Cause(where, f"{told.message}: {detail}", told.reason))
        seen.add((key, effect))
    for index, cidr in enumerate(spec.get("podCIDRs") or ()):
        causes += names.check(names.network, cidr, f"spec.podCIDRs[{index}]")
    return causes + _check_node_resources(body)


def _check_node_resources(body: Body) -> list[Cause]:
    return [
        cause
        for member in ("capacity", "allocatable")
        for name, amount in ((body.get("status") or {}).get(member) or {}).items()
        for cause in check_amount(name, amount, f"status.{member}.{name}")
    ]


def _check_node_update(new: Body, old: Body) -> list[Cause]:
    after, before = new.get("spec") or {}, old.get("spec") or {}
    causes = []
    if before.get("podCIDRs") and before["podCIDRs"] != after.get("podCIDRs"):
        causes.append(names.forbidden("spec.podCIDRs", _POD_CIDR))
    if before.get("providerID") and before["providerID"] != after.get("providerID"):
        causes.append(names.forbidden("spec.providerID", _PROVIDER))
    return causes


def _check_node_status(new: Body, _old: Body) -> list[Cause]:
    causes = _check_node_resources(new)
    addresses = (new.get("status") or {}).get("addresses") or []
    causes += [
        names.duplicate(f"status.addresses[{index}]", address)
        for index, address in enumerate(addresses)
        if address in addresses[:index]
    ]
    return causes


def _check_lease(body: Body) -> list[Cause]:
    spec = body.get("spec") or {}
    causes: list[Cause] = []
    seconds = spec.get("leaseDurationSeconds")
    if seconds is not None and seconds <= 0:
        detail = "must be greater than 0"
        causes.append(names.invalid("spec.leaseDurationSeconds", seconds, detail))
    causes += names.check_least(spec.get("leaseTransitions"), "spec.leaseTransitions")
    if spec.get("preferredHolder") and not spec.get("strategy"):
        detail = "may only be specified if `strategy` is defined"
        causes.append(names.forbidden("spec.preferredHolder", detail))
    strategy = spec.get("strategy")
    if strategy is not None and "/" not in strategy and strategy not in _COORDINATED:
        causes.append(names.unsupported("spec.strategy", strategy, _COORDINATED))
    return causes


def _default_priority_class(body: Body) -> None:
    if not body.get("preemptionPolicy"):
        body["preemptionPolicy"] = "PreemptLowerPriority"
    body.setdefault("value", 0)


def _check_priority_class(body: Body) -> list[Cause]:
    name, value = body["metadata"].get("name", ""), body.get("value", 0)
    causes = []
    if name in SYSTEM:
        if value != SYSTEM[name]:
            detail = f"{_RESERVED}value of {name} PriorityClass must be {SYSTEM[name]}"
            causes.append(names.forbidden("metadata.name", detail))
    elif _SYSTEM_PREFIX.match(name):
        detail = f"{_RESERVED}{name} is not a known system priority class"
        causes.append(names.forbidden("metadata.name", detail))
    elif value > PRIORITY_MAX:
        detail = f"maximum allowed value of a user defined priority is {PRIORITY_MAX}"
        causes.append(names.forbidden("value", detail))
    policy = body.get("preemptionPolicy")
    if policy not in _PREEMPTION:
        causes.append(names.unsupported("preemptionPolicy", policy, _PREEMPTION))
    return causes


def _check_priority_update(new: Body, old: Body) -> list[Cause]:
    causes = []
    if new.get("value") != old.get("value"):
        causes.append(names.forbidden("value", "may not be changed in an update."))
    policy = new.get("preemptionPolicy")
    return causes + immutable("preemptionPolicy", policy, policy, old.get("preemptionPolicy"))


def _check_runtime_class(body: Body) -> list[Cause]:
    handler = body.get("handler", "")
    causes = names.check(names.label, handler, "handler")
    fixed = (body.get("overhead") or {}).get("podFixed")
    if fixed:
        causes += check_requirements({"limits": fixed}, "overhead.podFixed")
    scheduling = body.get("scheduling") or {}
    selector, tolerations = scheduling.get("nodeSelector"), scheduling.get("tolerations") or []
    causes += names.check_labels(selector or {}, "scheduling.nodeSelector")
    causes += check_tolerations(tolerations, "scheduling.tolerations")
    causes += [
        names.duplicate(f"scheduling.tolerations[{index}]", toleration)
        for index, toleration in enumerate(tolerations)
        if toleration in tolerations[:index]
    ]
    return causes


def _check_runtime_update(new: Body, old: Body) -> list[Cause]:
    value = new.get("handler")
    return immutable("handler", value, value, old.get("handler"))


NAMESPACE = Strategy(
    _default_namespace,
    _check_namespace,
    name=names.label,
    check_status=_check_namespace_status,
)
NODE = Strategy(_default_node, _check_node, _check_node_update, check_status=_check_node_status)
LEASE = Strategy(check=_check_lease)
PRIORITY_CLASS = Strategy(_default_priority_class, _check_priority_class, _check_priority_update)
RUNTIME_CLASS = Strategy(check=_check_runtime_class, check_update=_check_runtime_update)
