"""Rules of where pods may go: affinity, tolerations, spreading."""

from collections.abc import Iterable
from typing import Any

from pilothouse.services.apiserver.strategies.selectors import check_selector
from pilothouse.services.apiserver.strategies.strategy import Body
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_WEIGHT_MAX = 100
_ACTIONS = ("DoNotSchedule", "ScheduleAnyway")
_INCLUSION = ("Honor", "Ignore")
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_ONE_OF = ("In", "NotIn")
_PRESENCE = ("Exists", "DoesNotExist")
_ORDER = ("Gt", "Lt")
_POSITIVE = "must be greater than zero"


def check_affinity(affinity: Body, path: str) -> list[Cause]:
    """To nodes, to pods, and away from pods."""
    causes: list[Cause] = []
    if node := affinity.get("nodeAffinity"):
        where = f"{path}.nodeAffinity"
        if node.get(_REQUIRED) is not None:
            causes += check_node_selector(node[_REQUIRED], f"{where}.{_REQUIRED}")
        for index, term in enumerate(node.get(_PREFERRED) or ()):
            at = f"{where}.{_PREFERRED}[{index}]"
            causes += _weight(term, at)
            causes += _term(term.get("preference") or {}, f"{at}.preference", values=False)
    for side in ("podAffinity", "podAntiAffinity"):
        near = affinity.get(side) or {}
        for index, term in enumerate(near.get(_REQUIRED) or ()):
            causes += _pod_term(term, f"{path}.{side}.{_REQUIRED}[{index}]")
        for index, term in enumerate(near.get(_PREFERRED) or ()):
            at = f"{path}.{side}.{_PREFERRED}[{index}]"
            causes += _weight(term, at)
            causes += _pod_term(term.get("podAffinityTerm") or {}, f"{at}.podAffinityTerm")
    return causes


def check_node_selector(selector: Body, path: str) -> list[Cause]:
    """A list of terms, one of which a node must meet."""
    terms = selector.get("nodeSelectorTerms") or ()
    where = f"{path}.nodeSelectorTerms"
    if not terms:
        return [names.required(where, "must have at least one node selector term")]
    return [
        cause
        for index, term in enumerate(terms)
        for cause in _term(term, f"{where}[{index}]", values=True)
    ]


def _weight(term: Body, path: str) -> list[Cause]:
    weight = term.get("weight", 0)
    if 0 < weight <= _WEIGHT_MAX:
        return []
    return [names.invalid(f"{path}.weight", weight, "must be in the range 1-100")]


def _term(term: Body, path: str, *, values: bool) -> list[Cause]:
    causes: list[Cause] = []
    for index, item in enumerate(term.get("matchExpressions") or ()):
        where = f"{path}.matchExpressions[{index}]"
        causes += _expression(item, where)
        if values:
            for number, value in enumerate(item.get("values") or ()):
                causes += names.check(names.label_value, value, f"{where}.values[{number}]")
    for index, item in enumerate(term.get("matchFields") or ()):
        causes += _field(item, f"{path}.matchFields[{index}]")
    return causes


def _expression(item: Body, path: str) -> list[Cause]:
    operator, values = item.get("operator", ""), item.get("values") or ()
    causes = []
    if operator in _ONE_OF:
        if not values:
            detail = "must be specified when `operator` is 'In' or 'NotIn'"
            causes.append(names.required(f"{path}.values", detail))
    elif operator in _PRESENCE:
        if values:
            detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            causes.append(names.forbidden(f"{path}.values", detail))
    elif operator in _ORDER:
        if len(values) != 1:
            detail = "must be specified single value when `operator` is 'Lt' or 'Gt'"
            causes.append(names.required(f"{path}.values", detail))
    else:
        causes.append(names.invalid(f"{path}.operator", operator, "not a valid selector operator"))
    return causes + names.check(names.qualified, item.get("key", ""), f"{path}.key")


def _field(item: Body, path: str) -> list[Cause]:
    operator, values = item.get("operator", ""), item.get("values") or ()
    causes = []
    if operator not in _ONE_OF:
        causes.append(names.invalid(f"{path}.operator", operator, "not a valid selector operator"))
    elif len(values) != 1:
        detail = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        causes.append(names.required(f"{path}.values", detail))
    key = item.get("key", "")
    if key != "metadata.name":
        causes.append(names.invalid(f"{path}.key", key, "not a valid field selector key"))
        return causes
    for number, value in enumerate(values):
        causes += names.check(names.subdomain, value, f"{path}.values[{number}]")
    return causes


def _pod_term(term: Body, path: str) -> list[Cause]:
    causes: list[Cause] = []
    for field in ("labelSelector", "namespaceSelector"):
        if term.get(field) is not None:
            causes += check_selector(term[field], f"{path}.{field}")
    for namespace in term.get("namespaces") or ():
        causes += names.check(names.label, namespace, f"{path}.namespace")
    match, mismatch = term.get("matchLabelKeys") or (), term.get("mismatchLabelKeys") or ()
    for field, keys in (("matchLabelKeys", match), ("mismatchLabelKeys", mismatch)):
        causes += _label_keys(keys, term.get("labelSelector"), f"{path}.{field}")
    causes += [
        names.invalid(
            f"{path}.matchLabelKeys[{index}]", key,
            "exists in both matchLabelKeys and mismatchLabelKeys",
        )
        for index, key in enumerate(match)
        if key in mismatch
    ]  # fmt: skip
    key = term.get("topologyKey", "")
    if not key:
        causes.append(names.required(f"{path}.topologyKey", "can not be empty"))
    return causes + names.check(names.qualified, key, f"{path}.topologyKey")


def _label_keys(keys: Iterable[str], selector: Body | None, path: str) -> list[Cause]:
    keys = list(keys)
    if keys and selector is None:
        return [names.forbidden(path, "must not be specified when labelSelector is not set")]
    return [
        cause
        for index, key in enumerate(keys)
        for cause in names.check(names.qualified, key, f"{path}[{index}]")
    ]


def check_tolerations(tolerations: Iterable[Body], path: str) -> list[Cause]:
    """Key, operator, value and effect of each."""
    causes: list[Cause] = []
    for index, toleration in enumerate(tolerations):
        causes += _toleration(toleration, f"{path}[{index}]")
    return causes


def _toleration(toleration: Body, where: str) -> list[Cause]:
    key, operator = toleration.get("key", ""), toleration.get("operator", "")
    value, effect = toleration.get("value", ""), toleration.get("effect", "")
    causes = names.check(names.qualified, key, f"{where}.key") if key else []
    if not key and operator != "Exists":
        detail = 'operator must be Exists when `key` is empty, which means "match all values and '
        causes.append(names.invalid(f"{where}.operator", operator, detail + 'all keys"'))
    if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
        detail = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        causes.append(names.invalid(f"{where}.effect", effect, detail))
    if operator in ("", "Equal"):
        causes += names.check(names.label_value, value, f"{where}.operator")
    elif operator == "Exists":
        if value:
            detail = "value must be empty when `operator` is 'Exists'"
            causes.append(names.invalid(f"{where}.operator", value, detail))
    else:
        causes.append(names.unsupported(f"{where}.operator", operator, ("Equal", "Exists")))
    if effect and effect not in EFFECTS:
        causes.append(names.unsupported(f"{where}.effect", effect, EFFECTS))
    return causes


def check_spread(constraints: list[Body], path: str) -> list[Cause]:
    """Spreading over topology domains."""
    causes: list[Cause] = []
    for index, item in enumerate(constraints):
        where = f"{path}[{index}]"
        causes += _constraint(item, where)
        key, action = item.get("topologyKey", ""), item.get("whenUnsatisfiable", "")
        for other in constraints[index + 1 :]:
            if (other.get("topologyKey"), other.get("whenUnsatisfiable")) == (key, action):
                field = f"{where}.{{topologyKey, whenUnsatisfiable}}"
                causes.append(names.duplicate(field, f"{{{key}, {action}}}"))
                break
    return causes


def _constraint(item: Body, where: str) -> list[Cause]:
    causes: list[Cause] = []
    skew, action = item.get("maxSkew", 0), item.get("whenUnsatisfiable", "")
    if skew <= 0:
        causes.append(names.invalid(f"{where}.maxSkew", skew, _POSITIVE))
    if not item.get("topologyKey"):
        causes.append(names.required(f"{where}.topologyKey", "can not be empty"))
    if action not in _ACTIONS:
        causes.append(names.unsupported(f"{where}.whenUnsatisfiable", action, _ACTIONS))
    domains = item.get("minDomains")
    if domains is not None:
        if domains <= 0:
            causes.append(names.invalid(f"{where}.minDomains", domains, _POSITIVE))
        if action != "DoNotSchedule":
            detail = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"
            causes.append(names.invalid(f"{where}.minDomains", domains, detail))
    causes += [
        names.unsupported(f"{where}.{field}", item[field], _INCLUSION)
        for field in ("nodeAffinityPolicy", "nodeTaintsPolicy")
        if item.get(field) is not None and item[field] not in _INCLUSION
    ]
    selector: Any = item.get("labelSelector")
    keys = item.get("matchLabelKeys") or ()
    causes += _label_keys(keys, selector, f"{where}.matchLabelKeys")
    if selector is not None:
        causes += check_selector(selector, f"{where}.labelSelector")
    return causes
