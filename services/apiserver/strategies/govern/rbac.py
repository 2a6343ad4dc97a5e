"""rbac.authorization.k8s.io."""

from collections.abc import Iterable

from pilothouse.services.apiserver.strategies.selectors import check_selector
from pilothouse.services.apiserver.strategies.strategy import Body, Strategy
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause

GROUP = "rbac.authorization.k8s.io"
_SUBJECTS = ("ServiceAccount", "User", "Group")


def _check_rules(rules: Iterable[Body], *, namespaced: bool) -> list[Cause]:
    causes: list[Cause] = []
    for index, rule in enumerate(rules):
        where = f"rules[{index}]"
        if not rule.get("verbs"):
            detail = "verbs must contain at least one value"
            causes.append(names.required(f"{where}.verbs", detail))
        urls = rule.get("nonResourceURLs") or []
        if urls:
            field = f"{where}.nonResourceURLs"
            if namespaced:
                detail = "namespaced rules cannot apply to non-resource URLs"
                causes.append(names.invalid(field, urls, detail))
            if any(rule.get(f) for f in ("apiGroups", "resources", "resourceNames")):
                detail = "rules cannot apply to both regular resources and non-resource URLs"
                causes.append(names.invalid(field, urls, detail))
            continue
        if not rule.get("apiGroups"):
            detail = "resource rules must supply at least one api group"
            causes.append(names.required(f"{where}.apiGroups", detail))
        if not rule.get("resources"):
            detail = "resource rules must supply at least one resource"
            causes.append(names.required(f"{where}.resources", detail))
    return causes


def _check_role(body: Body) -> list[Cause]:
    return _check_rules(body.get("rules") or (), namespaced=True)


def _check_cluster_role(body: Body) -> list[Cause]:
    causes = _check_rules(body.get("rules") or (), namespaced=False)
    aggregation = body.get("aggregationRule")
    if aggregation is None:
        return causes
    selectors = aggregation.get("clusterRoleSelectors") or []
    path = "aggregationRule.clusterRoleSelectors"
    if not selectors:
        detail = "at least one clusterRoleSelector required if aggregationRule is non-nil"
        causes.append(names.required(path, detail))
    for index, selector in enumerate(selectors):
        causes += check_selector(selector, f"{path}[{index}]")
    return causes


def _default_binding(body: Body) -> None:
    reference = body.get("roleRef")
    if reference is not None and not reference.get("apiGroup"):
        reference["apiGroup"] = GROUP
    for subject in body.get("subjects") or ():
        if not subject.get("apiGroup") and subject.get("kind") in ("User", "Group"):
            subject["apiGroup"] = GROUP


def _check_binding(body: Body, kinds: tuple[str, ...], *, namespaced: bool) -> list[Cause]:
    reference = body.get("roleRef") or {}
    group, kind, name = (reference.get(f, "") for f in ("apiGroup", "kind", "name"))
    causes: list[Cause] = []
    if group != GROUP:
        causes.append(names.unsupported("roleRef.apiGroup", group, (GROUP,)))
    if kind not in kinds:
        causes.append(names.unsupported("roleRef.kind", kind, kinds))
    if not name:
        causes.append(names.required("roleRef.name"))
    else:
        causes += names.check(names.path_segment, name, "roleRef.name")
    for index, subject in enumerate(body.get("subjects") or ()):
        causes += _check_subject(subject, f"subjects[{index}]", namespaced=namespaced)
    return causes


def _check_subject(subject: Body, where: str, *, namespaced: bool) -> list[Cause]:
    kind, name, group = (subject.get(f, "") for f in ("kind", "name", "apiGroup"))
    causes: list[Cause] = [] if name else [names.required(f"{where}.name")]
    if kind not in _SUBJECTS:
        return [*causes, names.unsupported(f"{where}.kind", kind, _SUBJECTS)]
    wanted = "" if kind == "ServiceAccount" else GROUP
    if group != wanted:
        causes.append(names.unsupported(f"{where}.apiGroup", group, (wanted,)))
    if kind == "ServiceAccount":
        if name:
            causes += names.check(names.subdomain, name, f"{where}.name")
        if not namespaced and not subject.get("namespace"):
            causes.append(names.required(f"{where}.namespace"))
    return causes


def _check_role_binding(body: Body) -> list[Cause]:
    return _check_binding(body, ("Role", "ClusterRole"), namespaced=True)


def _check_cluster_role_binding(body: Body) -> list[Cause]:
    return _check_binding(body, ("ClusterRole",), namespaced=False)


def _check_binding_update(new: Body, old: Body) -> list[Cause]:
    reference = new.get("roleRef")
    if reference == old.get("roleRef"):
        return []
    return [names.invalid("roleRef", reference, "cannot change roleRef")]


ROLE = Strategy(check=_check_role, name=names.path_segment)
CLUSTER_ROLE = Strategy(check=_check_cluster_role, name=names.path_segment)
ROLE_BINDING = Strategy(
    _default_binding, _check_role_binding, _check_binding_update, names.path_segment
)
CLUSTER_ROLE_BINDING = Strategy(
    _default_binding, _check_cluster_role_binding, _check_binding_update, names.path_segment
)
BY_KIND = {
    "Role": ROLE,
    "ClusterRole": CLUSTER_ROLE,
    "RoleBinding": ROLE_BINDING,
    "ClusterRoleBinding": CLUSTER_ROLE_BINDING,
}
