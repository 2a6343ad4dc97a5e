"""Rules of resources: their names, their amounts, and requests beside limits."""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

from pilothouse.services.apiserver.strategies.strategy import Body
from pilothouse.services.machinery import names, quantity
from pilothouse.services.machinery.errors import Cause

HUGE = "hugepages-"
_NATIVE = "kubernetes.io/"
_REQUESTS = "requests."
CONTAINER = frozenset({"cpu", "memory", "ephemeral-storage"})
_POD_LEVEL = ("cpu", "memory")
QUOTA = frozenset(
    {
        "cpu", "memory", "ephemeral-storage", "requests.cpu", "requests.memory",
        "requests.storage", "requests.ephemeral-storage", "limits.cpu", "limits.memory",
        "limits.ephemeral-storage", "pods", "resourcequotas", "services",
        "replicationcontrollers", "secrets", "persistentvolumeclaims", "configmaps",
        "services.nodeports", "services.loadbalancers",
    }
)  # fmt: skip
_STANDARD = QUOTA | {"storage", "services.nodeports", "services.loadbalancers"}
_INTEGERS = frozenset(
    {
        "pods", "resourcequotas", "services", "replicationcontrollers", "secrets", "configmaps",
        "persistentvolumeclaims", "services.nodeports", "services.loadbalancers",
    }
)  # fmt: skip
_NAME_MAX = 253 - len(_REQUESTS)

NameRule = Callable[[str, str], list[Cause]]


def native(name: str) -> bool:
    """A resource of Kubernetes' own: without a domain, or of kubernetes.io."""
    return "/" not in name or _NATIVE in name


def huge(name: str) -> bool:
    """Huge pages of a size."""
    return name.startswith(HUGE)


def overcommits(name: str) -> bool:
    """Whether a request may be under its limit."""
    return native(name) and not huge(name)


def extended(name: str) -> bool:
    """A resource of somebody's domain, counted in whole units."""
    if native(name) or name.startswith(_REQUESTS):
        return False
    return not names.qualified(_REQUESTS + name)


def check_name(name: str, field: str) -> list[Cause]:
    """Any resource's name."""
    if wrong := names.qualified(name):
        return [names.invalid(field, name, wrong)]
    if "/" not in name and name not in _STANDARD and not _quota_huge(name):
        detail = "must be a standard resource type or fully qualified"
        return [names.invalid(field, name, detail)]
    return []


def check_container_name(name: str, field: str) -> list[Cause]:
    """A resource that a container may ask for."""
    if name in CONTAINER:
        return []
    causes = check_name(name, field)
    if "/" not in name:
        if not huge(name):
            causes.append(names.invalid(field, name, "must be a standard resource for containers"))
    elif not native(name) and not extended(name):
        detail = "doesn't follow extended resource name standard"
        causes.append(names.invalid(field, name, detail))
    return causes


def check_pod_name(name: str, field: str) -> list[Cause]:
    """A resource that a pod may ask for as a whole."""
    if name in _POD_LEVEL or huge(name):
        return []
    return check_name(name, field) or [names.unsupported(field, name, (*_POD_LEVEL, HUGE))]


def check_quota_name(name: str, field: str) -> list[Cause]:
    """A resource that a quota may bound: ``count/…`` of any kind among them."""
    if "/" in name or name in QUOTA or _quota_huge(name):
        return check_name(name, field)
    if causes := check_name(name, field):
        return causes
    return [names.invalid(field, name, "must be a standard resource for quota")]


def _quota_huge(name: str) -> bool:
    return huge(name) or name.startswith(_REQUESTS + HUGE)


def check_amount(name: str, amount: Any, field: str) -> list[Cause]:
    """An amount is not negative, and whole where halves make no sense."""
    value = quantity.parse(amount)
    if value < 0:
        detail = "must be greater than or equal to 0"
        return [names.invalid(field, str(amount), detail)]
    if (name in _INTEGERS or extended(name)) and value != value.to_integral_value():
        return [names.invalid(field, str(amount), "must be an integer")]
    return []


def check_amounts(amounts: Mapping[str, Any], rule: NameRule, field: str) -> list[Cause]:
    """A whole resource list."""
    causes = []
    for name, amount in amounts.items():
        where = f"{field}[{name}]"
        causes += rule(name, where)
        causes += check_amount(name, amount, where)
        causes += _check_huge(name, amount, where)
    return causes


def _check_huge(name: str, amount: Any, field: str) -> list[Cause]:
    if not huge(name):
        return []
    try:
        size = quantity.parse(name.removeprefix(HUGE))
    except ValueError:
        size = Decimal(0)
    value = quantity.parse(amount)
    if value == 0 or (size > 0 and not Fraction(value) % Fraction(size)):
        return []
    detail = f"{amount} is not positive integer multiple of {name}"
    return [names.invalid(field, str(amount), detail)]


def check_requirements(
    resources: Body, path: str, claims: Iterable[str] = (), rule: NameRule = check_container_name
) -> list[Cause]:
    """``limits``, ``requests`` and ``claims`` of a container; ``claims`` are the pod's."""
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    causes: list[Cause] = []
    if limits:
        causes += check_amounts(limits, rule, f"{path}.limits")
    if requests:
        causes += check_amounts(requests, rule, f"{path}.requests")
        causes += _beside(requests, limits, path)
    asked = {*limits, *requests}
    if any(map(huge, asked)) and not asked & {"cpu", "memory"}:
        causes.append(names.forbidden(path, "HugePages require cpu or memory"))
    if resources.get("claims"):
        causes += _check_claims(resources["claims"], frozenset(claims), f"{path}.claims")
    return causes


def _beside(requests: Mapping[str, Any], limits: Mapping[str, Any], path: str) -> list[Cause]:
    causes = []
    for name, amount in requests.items():
        limit = limits.get(name)
        if limit == amount:
            continue
        if limit is None:
            if not overcommits(name):
                detail = "Limit must be set for non overcommitable resources"
                causes.append(names.required(f"{path}.limits", detail))
            continue
        asked, most = quantity.parse(amount), quantity.parse(limit)
        if asked != most and not overcommits(name):
            detail = f"must be equal to {name} limit of {limit}"
            causes.append(names.invalid(f"{path}.requests", str(amount), detail))
        elif asked > most:
            detail = f"must be less than or equal to {name} limit of {limit}"
            causes.append(names.invalid(f"{path}.requests", str(amount), detail))
    return causes


def _check_claims(claims: list[Body], known: frozenset[str], path: str) -> list[Cause]:
    causes = []
    seen: set[str] = set()
    for index, claim in enumerate(claims):
        where, name = f"{path}[{index}]", claim.get("name", "")
        if not name:
            causes.append(names.required(where))
            continue
        request = claim.get("request", "")
        key = f"{name}/{request}" if request else name
        if request:
            causes += names.check(names.label, request, f"{where}.request")
        overlaps = not request and any(item.startswith(f"{name}/") for item in seen)
        if key in seen or name in seen or overlaps:
            causes.append(names.duplicate(where, key))
        seen.add(key)
        if name not in known:
            named = f": {', '.join(sorted(known))}" if known else " which is empty"
            detail = f"must be one of the names in pod.spec.resourceClaims{named}"
            causes.append(names.not_found(where, name, detail))
    return causes
