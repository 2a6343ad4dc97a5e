"""What a namespace may use: LimitRanges, ResourceQuotas, PodDisruptionBudgets."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pilothouse.services.apiserver.strategies.quantities import (
    QUOTA,
    check_amount,
    check_container_name,
    check_name,
    check_quota_name,
    overcommits,
)
from pilothouse.services.apiserver.strategies.selectors import check_selector
from pilothouse.services.apiserver.strategies.strategy import Body, Strategy, immutable
from pilothouse.services.apiserver.strategies.workload.workloads import check_share, check_whole
from pilothouse.services.machinery import names, quantity
from pilothouse.services.machinery.errors import Cause

_LIMIT_TYPES = ("Container", "PersistentVolumeClaim", "Pod")
_MEMBERS = ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")
_SCOPES = (
    "BestEffort", "CrossNamespacePodAffinity", "NotBestEffort", "NotTerminating", "PriorityClass",
    "Terminating", "VolumeAttributesClass",
)  # fmt: skip
_ONLY_PODS = frozenset({"BestEffort"})
_ALWAYS_EXISTS = frozenset(
    {"BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "CrossNamespacePodAffinity"}
)
_CONFLICTS = ({"BestEffort", "NotBestEffort"}, {"Terminating", "NotTerminating"})
_PVC = frozenset({"persistentvolumeclaims", "requests.storage"})
_COMPUTE = frozenset(
    {
        "pods", "cpu", "memory", "ephemeral-storage", "requests.cpu", "requests.memory",
        "requests.ephemeral-storage", "limits.cpu", "limits.memory", "limits.ephemeral-storage",
    }
)  # fmt: skip
_EVICTION = ("AlwaysAllow", "IfHealthyBudget")


def _default_limits(body: Body) -> None:
    for limit in (body.get("spec") or {}).get("limits") or ():
        if limit.get("type") != "Container":
            continue
        most, least = limit.get("max") or {}, limit.get("min") or {}
        default = {**most, **(limit.get("default") or {})}
        request = {**least, **default, **(limit.get("defaultRequest") or {})}
        for field, amounts in (("default", default), ("defaultRequest", request)):
            if amounts:
                limit[field] = amounts


def _check_limits(body: Body) -> list[Cause]:
    causes: list[Cause] = []
    seen: set[str] = set()
    for index, limit in enumerate((body.get("spec") or {}).get("limits") or ()):
        where, kind = f"spec.limits[{index}]", limit.get("type", "")
        wrong = names.qualified(kind)
        if wrong:
            causes.append(names.invalid(f"{where}.type", kind, wrong))
        elif "/" not in kind and kind not in _LIMIT_TYPES:
            detail = "must be a standard limit type or fully qualified"
            causes.append(names.invalid(f"{where}.type", kind, detail))
        if kind in seen:
            causes.append(names.duplicate(f"{where}.type", kind))
        seen.add(kind)
        causes += _check_limit(limit, kind, where)
    return causes


def _check_limit(limit: Body, kind: str, where: str) -> list[Cause]:
    causes: list[Cause] = []
    rule = check_container_name if kind in ("Pod", "Container") else check_name
    for member in _MEMBERS:
        if kind == "Pod" and member.startswith("default"):
            if limit.get(member):
                detail = "may not be specified when `type` is 'Pod'"
                causes.append(names.forbidden(f"{where}.{member}", detail))
            continue
        for name in limit.get(member) or ():
            causes += rule(name, f"{where}.{member}[{name}]")
    if kind == "PersistentVolumeClaim":
        given = {*(limit.get("min") or ()), *(limit.get("max") or ())}
        if "storage" not in given:
            detail = "either minimum or maximum storage value is required, but neither was provided"
            causes.append(names.required(f"{where}.limits", detail))
    for name in sorted({name for member in _MEMBERS for name in limit.get(member) or ()}):
        bounds = {m: limit[m][name] for m in _MEMBERS if name in (limit.get(m) or ())}
        causes += _check_order(bounds, name, where)
    return causes


_ORDER = (
    # The lesser, the greater, whose field and value are shown, and the words.
    ("min", "max", "min", "min value {0} is greater than max value {1}"),
    ("min", "defaultRequest", "defaultRequest",
     "min value {0} is greater than default request value {1}"),
    ("defaultRequest", "max", "defaultRequest",
     "default request value {0} is greater than max value {1}"),
    ("defaultRequest", "default", "defaultRequest",
     "default request value {0} is greater than default limit value {1}"),
    ("min", "default", "default", "min value {0} is greater than default value {1}"),
    ("default", "max", "default", "default value {0} is greater than max value {1}"),
)  # fmt: skip


def _check_order(bounds: Mapping[str, Any], name: str, where: str) -> list[Cause]:
    causes = []
    value = {member: quantity.parse(amount) for member, amount in bounds.items()}
    for low, high, field, words in _ORDER:
        if low in value and high in value and value[low] > value[high]:
            detail = words.format(bounds[low], bounds[high])
            shown = bounds[high] if (field, low) == ("default", "default") else bounds[field]
            causes.append(names.invalid(f"{where}.{field}[{name}]", str(shown), detail))
    ratio = value.get("maxLimitRequestRatio")
    if ratio is not None:
        causes += _check_ratio(ratio, bounds, name, f"{where}.maxLimitRequestRatio[{name}]")
    both = "default" in value and "defaultRequest" in value
    if both and not overcommits(name) and value["default"] != value["defaultRequest"]:
        one, two = bounds["default"], bounds["defaultRequest"]
        detail = f"default value {one} must equal to defaultRequest value {two} in {name}"
        causes.append(names.invalid(f"{where}.defaultRequest[{name}]", str(two), detail))
    return causes


def _check_ratio(ratio: Decimal, bounds: Mapping[str, Any], name: str, field: str) -> list[Cause]:
    shown = str(bounds["maxLimitRequestRatio"])
    causes = []
    if ratio < 1:
        causes.append(names.invalid(field, shown, f"ratio {shown} is less than 1"))
    if "min" in bounds and "max" in bounds and quantity.parse(bounds["min"]):
        most = quantity.parse(bounds["max"]) / quantity.parse(bounds["min"])
        if ratio > most:
            detail = f"ratio {shown} is greater than max/min = {float(most):f}"
            causes.append(names.invalid(field, shown, detail))
    return causes


def _check_quota(body: Body) -> list[Cause]:
    spec = body.get("spec") or {}
    hard = spec.get("hard") or {}
    causes = _amounts(hard, "spec.hard")
    causes += _scopes(spec.get("scopes") or [], hard)
    selector = spec.get("scopeSelector")
    if selector is not None:
        causes += _selector(selector.get("matchExpressions") or [], hard, selector)
    return causes


def _amounts(amounts: Mapping[str, Any], path: str) -> list[Cause]:
    causes: list[Cause] = []
    for name, amount in amounts.items():
        causes += check_quota_name(name, f"{path}[{name}]")
        causes += check_amount(name, amount, f"{path}[{name}]")
    return causes


def _scope_fits(scope: str, name: str) -> bool:
    if scope in _ONLY_PODS:
        return name == "pods"
    if scope == "VolumeAttributesClass":
        return name in _PVC or ".storageclass.storage.k8s.io/" in name
    return name in _COMPUTE or (
        name.startswith(("requests.", "hugepages-", "limits.")) and (name != "requests.storage")
    )


def _scopes(scopes: list[str], hard: Mapping[str, Any]) -> list[Cause]:
    field = "spec.scopes"
    causes = []
    for scope in scopes:
        if scope not in _SCOPES:
            causes.append(names.invalid(field, scopes, "unsupported scope"))
        causes += [
            names.invalid(field, scopes, "unsupported scope applied to resource")
            for name in sorted(hard)
            if name in QUOTA and not _scope_fits(scope, name)
        ]
    return causes + _conflicts(scopes, field)


def _conflicts(scopes: list[str], field: str) -> list[Cause]:
    return [
        names.invalid(field, scopes, "conflicting scopes")
        for pair in _CONFLICTS
        if pair <= set(scopes)
    ]


def _selector(expressions: list[Body], hard: Mapping[str, Any], selector: Body) -> list[Cause]:
    path = "spec.scopeSelector.matchExpressions"
    causes = []
    for item in expressions:
        scope, operator = item.get("scopeName", ""), item.get("operator", "")
        values = item.get("values") or []
        if scope not in _SCOPES:
            causes.append(names.invalid(f"{path}.scopeName", scope, "unsupported scope"))
        causes += [
            names.invalid(path, selector, "unsupported scope applied to resource")
            for name in sorted(hard)
            if name in QUOTA and not _scope_fits(scope, name)
        ]
        if scope in _ALWAYS_EXISTS and operator != "Exists":
            detail = "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, "
            detail += "ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, "
            detail += "ResourceQuotaScopeNotBestEffort or "
            detail += "ResourceQuotaScopeCrossNamespacePodAffinity"
            causes.append(names.invalid(f"{path}.operator", operator, detail))
        causes += _operator(operator, values, path)
    return causes + _conflicts([item.get("scopeName", "") for item in expressions], "spec.scopes")


def _operator(operator: str, values: list[str], path: str) -> list[Cause]:
    if operator in ("In", "NotIn"):
        if values:
            return []
        detail = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
        return [names.required(f"{path}.values", detail)]
    if operator in ("Exists", "DoesNotExist"):
        if not values:
            return []
        detail = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
        return [names.invalid(f"{path}.values", values, detail)]
    return [names.invalid(f"{path}.operator", operator, "not a valid selector operator")]


def _check_quota_update(new: Body, old: Body) -> list[Cause]:
    after, before = ((body.get("spec") or {}).get("scopes") or [] for body in (new, old))
    return immutable("spec.scopes", after, set(after), set(before))


def _check_quota_status(new: Body, _old: Body) -> list[Cause]:
    status = new.get("status") or {}
    causes = _amounts(status.get("hard") or {}, "status.hard")
    return causes + _amounts(status.get("used") or {}, "status.used")


def _check_disruption(body: Body) -> list[Cause]:
    spec = body.get("spec") or {}
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    causes: list[Cause] = []
    if least is not None and most is not None:
        detail = "minAvailable and maxUnavailable cannot be both set"
        causes.append(names.invalid("spec", spec, detail))
    for field, value in (("minAvailable", least), ("maxUnavailable", most)):
        causes += check_share(value, f"spec.{field}")
        causes += check_whole(value, f"spec.{field}")
    if spec.get("selector") is not None:
        causes += check_selector(spec["selector"], "spec.selector")
    policy = spec.get("unhealthyPodEvictionPolicy")
    if policy is not None and policy not in _EVICTION:
        causes.append(names.unsupported("spec.unhealthyPodEvictionPolicy", policy, _EVICTION))
    return causes


def _check_disruption_status(new: Body, _old: Body) -> list[Cause]:
    status = new.get("status") or {}
    causes: list[Cause] = []
    for field in ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"):
        causes += names.check_least(status.get(field), f"status.{field}")
    return causes


LIMIT_RANGE = Strategy(_default_limits, _check_limits)
RESOURCE_QUOTA = Strategy(
    check=_check_quota, check_update=_check_quota_update, check_status=_check_quota_status
)
DISRUPTION_BUDGET = Strategy(check=_check_disruption, check_status=_check_disruption_status)
