"""FlowSchemas and PriorityLevelConfigurations: defaults and rules."""

from collections.abc import Sequence
from typing import Any

from pilothouse.services.apiserver.flow.shuffling import ENTROPY_BITS_MAX, entropy_bits
from pilothouse.services.apiserver.flow.standard import level_documents, schema_documents
from pilothouse.services.apiserver.strategies.strategy import Body, Strategy
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause

PRECEDENCE = 1000
PRECEDENCE_MAX = 10_000
QUEUES_MAX = 10_000_000
SHARES = 30
PERCENT_MAX = 100
VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch")
_OWN_FIELD = {"User": "user", "Group": "group", "ServiceAccount": "serviceAccount"}
_NAMESPACE_INTRO = "each member of this list must be '*' or a DNS-1123 label; "
_MANDATORY = ("exempt", "catch-all")
_SCHEMAS = {
    each["metadata"]["name"]: each["spec"]
    for each in schema_documents()
    if each["metadata"]["name"] in _MANDATORY
}
_LEVELS = {
    each["metadata"]["name"]: each["spec"]
    for each in level_documents()
    if each["metadata"]["name"] in _MANDATORY
}


def _default_schema(body: Body) -> None:
    spec = body.setdefault("spec", {})
    if not spec.get("matchingPrecedence"):
        spec["matchingPrecedence"] = PRECEDENCE


def _default_level(body: Body) -> None:
    spec = body.setdefault("spec", {})
    if spec.get("type") == "Exempt":
        exempt = spec.setdefault("exempt", {})
        exempt.setdefault("nominalConcurrencyShares", 0)
        exempt.setdefault("lendablePercent", 0)
    limited = spec.get("limited")
    if limited is None:
        return
    limited.setdefault("nominalConcurrencyShares", SHARES)
    limited.setdefault("lendablePercent", 0)
    queuing = (limited.get("limitResponse") or {}).get("queuing")
    if queuing is not None:
        for field, value in (("queues", 64), ("handSize", 8), ("queueLengthLimit", 50)):
            if not queuing.get(field):
                queuing[field] = value


def _check_schema(body: Body) -> list[Cause]:
    name, spec = body["metadata"].get("name", ""), body.get("spec") or {}
    causes = _check_precedence(name, spec.get("matchingPrecedence", 0))
    method = spec.get("distinguisherMethod")
    if method is not None and method.get("type") not in ("ByNamespace", "ByUser"):
        field = "spec.distinguisherMethod.type"
        causes.append(names.unsupported(field, method.get("type", ""), ("ByNamespace", "ByUser")))
    level = (spec.get("priorityLevelConfiguration") or {}).get("name", "")
    field = "spec.priorityLevelConfiguration.name"
    if not level:
        causes.append(names.required(field, "must reference a priority level"))
    elif wrong := names.subdomain(level):
        causes.append(names.invalid(field, level, wrong))
    for index, rule in enumerate(spec.get("rules") or ()):
        causes += _check_rule(rule, f"spec.rules[{index}]")
    if name in _SCHEMAS and spec != _SCHEMAS[name]:
        causes.append(names.invalid("spec", spec, f"spec of '{name}' must equal the fixed value"))
    return causes + _check_conditions(body)


def _check_precedence(name: str, precedence: int) -> list[Cause]:
    field = "spec.matchingPrecedence"
    if precedence <= 0:
        return [names.invalid(field, precedence, "must be a positive value")]
    if precedence > PRECEDENCE_MAX:
        detail = f"must not be greater than {PRECEDENCE_MAX}"
        return [names.invalid(field, precedence, detail)]
    if precedence == 1 and name != "exempt":
        detail = "only the schema named 'exempt' may have matchingPrecedence 1"
        return [names.invalid(field, precedence, detail)]
    return []


def _check_rule(rule: Body, where: str) -> list[Cause]:
    causes: list[Cause] = []
    subjects = rule.get("subjects") or ()
    if not subjects:
        detail = "subjects must contain at least one value"
        causes.append(names.required(f"{where}.subjects", detail))
    for index, subject in enumerate(subjects):
        causes += _check_subject(subject, f"{where}.subjects[{index}]")
    resources, paths = rule.get("resourceRules") or (), rule.get("nonResourceRules") or ()
    if not resources and not paths:
        detail = "at least one of resourceRules and nonResourceRules has to be non-empty"
        causes.append(names.required(where, detail))
    for index, each in enumerate(resources):
        causes += _check_resources(each, f"{where}.resourceRules[{index}]")
    for index, each in enumerate(paths):
        causes += _check_paths(each, f"{where}.nonResourceRules[{index}]")
    return causes


def _check_subject(subject: Body, where: str) -> list[Cause]:
    kind = subject.get("kind", "")
    if kind not in _OWN_FIELD:
        return [names.unsupported(f"{where}.kind", kind, sorted(_OWN_FIELD))]
    own = _OWN_FIELD[kind]
    causes = [
        names.forbidden(
            f"{where}.{field}", f"{field} is forbidden when subject kind is not '{each}'"
        )
        for each, field in _OWN_FIELD.items()
        if field != own and subject.get(field) is not None
    ]
    named = subject.get(own)
    if named is None:
        detail = f"{own} is required when subject kind is '{kind}'"
        return [names.required(f"{where}.{own}", detail), *causes]
    name = named.get("name", "")
    if not name:
        causes.append(names.required(f"{where}.{own}.name"))
    if kind != "ServiceAccount":
        return causes
    if name not in ("", "*") and (wrong := names.subdomain(name)):
        causes.append(names.invalid(f"{where}.{own}.name", name, wrong))
    namespace = named.get("namespace", "")
    if not namespace:
        detail = "must specify namespace for service account"
        causes.append(names.required(f"{where}.{own}.namespace", detail))
    elif wrong := names.label(namespace):
        causes.append(names.invalid(f"{where}.{own}.namespace", namespace, wrong))
    return causes


def _check_resources(rule: Body, where: str) -> list[Cause]:
    causes = _check_verbs(rule, where)
    for field, one, many in (
        ("apiGroups", "api group", "api groups"),
        ("resources", "resource", "resources"),
    ):
        listed = rule.get(field) or []
        if not listed:
            detail = f"resource rules must supply at least one {one}"
            causes.append(names.required(f"{where}.{field}", detail))
        else:
            causes += _alone(listed, f"{where}.{field}", many)
    listed = rule.get("namespaces") or []
    field = f"{where}.namespaces"
    if not listed and not rule.get("clusterScope"):
        detail = "resource rules that are not cluster scoped must supply at least one namespace"
        causes.append(names.required(field, detail))
    elif "*" in listed:
        causes += _alone(listed, field, "namespaces")
    else:
        causes += [
            names.invalid(f"{field}[{index}]", each, _NAMESPACE_INTRO + wrong)
            for index, each in enumerate(listed)
            if (wrong := names.label(each))
        ]
    return causes


def _check_paths(rule: Body, where: str) -> list[Cause]:
    causes = _check_verbs(rule, where)
    listed = rule.get("nonResourceURLs") or []
    field = f"{where}.nonResourceURLs"
    if not listed:
        detail = "nonResourceURLs must contain at least one value"
        causes.append(names.required(field, detail))
    elif "*" in listed:
        causes += _alone(listed, field, "non-resource URLs")
    else:
        causes += [
            names.invalid(f"{field}[{index}]", each, wrong)
            for index, each in enumerate(listed)
            if (wrong := _path(each))
        ]
    return causes


def _check_verbs(rule: Body, where: str) -> list[Cause]:
    listed, field = rule.get("verbs") or [], f"{where}.verbs"
    if not listed:
        return [names.required(field, "verbs must contain at least one value")]
    if "*" in listed:
        return _alone(listed, field, "verbs")
    if not set(listed) <= set(VERBS):
        return [names.unsupported(field, listed, VERBS)]
    return []


def _alone(listed: Sequence[Any], field: str, what: str) -> list[Cause]:
    if "*" not in listed or len(listed) == 1:
        return []
    detail = f"if '*' is present, must not specify other {what}"
    return [names.invalid(field, listed, detail)]


def _path(path: str) -> str:
    stars = path.count("*")
    rules = (
        (bool(path), "must not be empty"),
        (path.startswith("/"), "must start with slash"),
        (" " not in path, "must not contain white-space"),
        ("//" not in path, "must not contain double slash"),
        (not stars or (stars == 1 and path.endswith("/*")), "wildcard can only do suffix matching"),
    )
    return next((wrong for kept, wrong in rules if not kept), "")


def _check_level(body: Body) -> list[Cause]:
    name, spec = body["metadata"].get("name", ""), body.get("spec") or {}
    causes: list[Cause] = []
    kind = spec.get("type", "")
    if (name == "exempt") != (kind == "Exempt"):
        detail = "type must be 'Exempt' if and only if name is 'exempt'"
        causes.append(names.invalid("spec.type", kind, detail))
    if kind == "Exempt":
        if spec.get("limited") is not None:
            detail = "must be nil if the type is not Limited"
            causes.append(names.forbidden("spec.limited", detail))
        causes += _check_shares(spec.get("exempt") or {}, "spec.exempt")
    elif kind == "Limited":
        causes += _check_limited(spec)
    else:
        causes.append(names.unsupported("spec.type", kind, ("Exempt", "Limited")))
    return causes + _check_fixed(name, spec) + _check_conditions(body)


def _check_limited(spec: Body) -> list[Cause]:
    causes: list[Cause] = []
    if spec.get("exempt") is not None:
        detail = "must be nil if the type is Limited"
        causes.append(names.forbidden("spec.exempt", detail))
    limited = spec.get("limited")
    if limited is None:
        detail = "must not be empty when type is Limited"
        return [*causes, names.required("spec.limited", detail)]
    causes += _check_shares(limited, "spec.limited")
    borrowing = limited.get("borrowingLimitPercent")
    if borrowing is not None and borrowing < 0:
        detail = "if specified, must be a non-negative integer"
        causes.append(names.invalid("spec.limited.borrowingLimitPercent", borrowing, detail))
    return causes + _check_response(limited.get("limitResponse") or {})


def _check_shares(limited: Body, where: str) -> list[Cause]:
    causes: list[Cause] = []
    shares, percent = limited.get("nominalConcurrencyShares", 0), limited.get("lendablePercent", 0)
    if shares < 0:
        field = f"{where}.nominalConcurrencyShares"
        causes.append(names.invalid(field, shares, "must be a non-negative integer"))
    if not 0 <= percent <= PERCENT_MAX:
        detail = "must be between 0 and 100, inclusive"
        causes.append(names.invalid(f"{where}.lendablePercent", percent, detail))
    return causes


def _check_response(response: Body) -> list[Cause]:
    where = "spec.limited.limitResponse"
    kind, queuing = response.get("type", ""), response.get("queuing")
    if kind == "Reject":
        if queuing is None:
            return []
        detail = "must be nil if limited.limitResponse.type is not Limited"
        return [names.forbidden(f"{where}.queuing", detail)]
    if kind != "Queue":
        return [names.unsupported(f"{where}.type", kind, ("Queue", "Reject"))]
    if queuing is None:
        detail = "must not be empty if limited.limitResponse.type is Limited"
        return [names.required(f"{where}.queuing", detail)]
    return _check_queuing(queuing, f"{where}.queuing")


def _check_queuing(queuing: Body, where: str) -> list[Cause]:
    queues, hand = queuing.get("queues", 0), queuing.get("handSize", 0)
    causes = [
        names.invalid(f"{where}.{field}", queuing.get(field, 0), "must be positive")
        for field in ("queueLengthLimit", "queues", "handSize")
        if queuing.get(field, 0) <= 0
    ]
    if queues > QUEUES_MAX:
        detail = f"must not be greater than {QUEUES_MAX}"
        causes.append(names.invalid(f"{where}.queues", queues, detail))
    if hand > max(queues, 0):
        detail = f"should not be greater than queues ({queues})"
        causes.append(names.invalid(f"{where}.handSize", hand, detail))
    elif entropy_bits(queues, min(max(hand, 0), ENTROPY_BITS_MAX + 1)) > ENTROPY_BITS_MAX:
        detail = (
            f"required entropy bits of deckSize {queues} and handSize {hand} should not be "
            f"greater than {ENTROPY_BITS_MAX}"
        )
        causes.append(names.invalid(f"{where}.handSize", hand, detail))
    return causes


def _check_fixed(name: str, spec: Body) -> list[Cause]:
    wanted = _LEVELS.get(name)
    if wanted is None:
        return []
    if name == "exempt":
        if {**spec, "exempt": None} == {**wanted, "exempt": None}:
            return []
        detail = "spec of 'exempt' except the 'spec.exempt' field must equal the fixed value"
        return [names.invalid("spec", spec, detail)]
    if spec == wanted:
        return []
    return [names.invalid("spec", spec, f"spec of '{name}' must equal the fixed value")]


def _check_conditions(body: Body) -> list[Cause]:
    causes: list[Cause] = []
    seen: set[str] = set()
    for index, condition in enumerate((body.get("status") or {}).get("conditions") or ()):
        kind, field = condition.get("type", ""), f"status.conditions[{index}].type"
        if kind in seen:
            causes.append(names.duplicate(field, kind))
        if not kind:
            causes.append(names.required(field, "must not be empty"))
        seen.add(kind)
    return causes


SCHEMA = Strategy(default=_default_schema, check=_check_schema)
LEVEL = Strategy(default=_default_level, check=_check_level)
