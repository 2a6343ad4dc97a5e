"""admissionregistration.k8s.io: webhooks and policies of admission, as they are written down."""

from urllib.parse import urlsplit

from pilothouse.services.apiserver.strategies.selectors import check_selector
from pilothouse.services.apiserver.strategies.strategy import Body, Strategy
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause

TIMEOUT_SECONDS = 10
TIMEOUT_SECONDS_MAX = 30
CONDITIONS_MAX = 64
_OPERATIONS = ("*", "CREATE", "UPDATE", "DELETE", "CONNECT")
_SCOPES = ("*", "Cluster", "Namespaced")
_FAILURE = ("Fail", "Ignore")
_MATCH = ("Equivalent", "Exact")
_REINVOCATION = ("IfNeeded", "Never")
_SIDE_EFFECTS = ("None", "NoneOnDryRun")
_REVIEWS = ("v1", "v1beta1")
_ACTIONS = ("Audit", "Deny", "Warn")
_PATCHES = ("ApplyConfiguration", "JSONPatch")
_NOT_FOUND = ("Allow", "Deny")
_REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge")
_SEGMENTS = 3


def _default_matching(holder: Body) -> None:
    holder.setdefault("matchPolicy", "Equivalent")
    holder.setdefault("namespaceSelector", {})
    holder.setdefault("objectSelector", {})


def _default_webhooks(body: Body) -> None:
    mutating = body.get("kind") == "MutatingWebhookConfiguration"
    for webhook in body.get("webhooks") or ():
        webhook.setdefault("failurePolicy", "Fail")
        webhook.setdefault("timeoutSeconds", TIMEOUT_SECONDS)
        if mutating:
            webhook.setdefault("reinvocationPolicy", "Never")
        _default_matching(webhook)
        for rule in webhook.get("rules") or ():
            rule.setdefault("scope", "*")
        if service := (webhook.get("clientConfig") or {}).get("service"):
            service.setdefault("port", 443)


def _check_webhooks(body: Body) -> list[Cause]:
    causes: list[Cause] = []
    seen: set[str] = set()
    for index, webhook in enumerate(body.get("webhooks") or ()):
        where, name = f"webhooks[{index}]", webhook.get("name", "")
        causes += _qualified(name, f"{where}.name")
        if name in seen:
            causes.append(names.duplicate(f"{where}.name", name))
        seen.add(name)
        causes += _check_webhook(webhook, where)
    return causes


def _qualified(name: str, field: str) -> list[Cause]:
    if not name:
        return [names.required(field)]
    if wrong := names.subdomain(name):
        return [names.invalid(field, name, wrong)]
    if len(name.split(".")) < _SEGMENTS:
        detail = "should be a domain with at least three segments separated by dots"
        return [names.invalid(field, name, detail)]
    return []


def _check_webhook(webhook: Body, where: str) -> list[Cause]:
    causes: list[Cause] = []
    for index, rule in enumerate(webhook.get("rules") or ()):
        causes += check_rule(rule, f"{where}.rules[{index}]")
    for field, choices in (
        ("failurePolicy", _FAILURE), ("matchPolicy", _MATCH),
        ("reinvocationPolicy", _REINVOCATION),
    ):  # fmt: skip
        value = webhook.get(field)
        if value is not None and value not in choices:
            causes.append(names.unsupported(f"{where}.{field}", value, choices))
    effects = webhook.get("sideEffects")
    if effects is None:
        detail = f"must specify one of {', '.join(_SIDE_EFFECTS)}"
        causes.append(names.required(f"{where}.sideEffects", detail))
    elif effects not in _SIDE_EFFECTS:
        causes.append(names.unsupported(f"{where}.sideEffects", effects, _SIDE_EFFECTS))
    seconds = webhook.get("timeoutSeconds")
    if seconds is not None and not 1 <= seconds <= TIMEOUT_SECONDS_MAX:
        detail = "the timeout value must be between 1 and 30 seconds"
        causes.append(names.invalid(f"{where}.timeoutSeconds", seconds, detail))
    for field in ("namespaceSelector", "objectSelector"):
        causes += check_selector(webhook.get(field) or {}, f"{where}.{field}")
    causes += _check_client(webhook.get("clientConfig") or {}, f"{where}.clientConfig")
    causes += _check_versions(webhook.get("admissionReviewVersions") or [], where)
    return causes + _check_conditions(webhook.get("matchConditions") or [], where)


def _check_versions(versions: list[str], where: str) -> list[Cause]:
    field = f"{where}.admissionReviewVersions"
    if not versions:
        detail = f"must specify one of {', '.join(_REVIEWS)}"
        return [names.required(field, detail)]
    causes = [
        names.duplicate(f"{field}[{index}]", version)
        for index, version in enumerate(versions)
        if version in versions[:index]
    ]
    if not set(versions) & set(_REVIEWS):
        detail = f"must include at least one of {', '.join(_REVIEWS)}"
        causes.append(names.invalid(field, versions, detail))
    return causes


def _check_conditions(conditions: list[Body], where: str) -> list[Cause]:
    field = f"{where}.matchConditions" if where else "matchConditions"
    if len(conditions) > CONDITIONS_MAX:
        return [names.too_many(field, len(conditions), CONDITIONS_MAX)]
    causes: list[Cause] = []
    seen: set[str] = set()
    for index, condition in enumerate(conditions):
        at, name = f"{field}[{index}]", condition.get("name", "")
        if not name:
            causes.append(names.required(f"{at}.name"))
        else:
            causes += names.check(names.qualified, name, f"{at}.name")
        if name in seen:
            causes.append(names.duplicate(f"{at}.name", name))
        seen.add(name)
        if not (condition.get("expression") or "").strip():
            causes.append(names.required(f"{at}.expression"))
    return causes


def check_rule(rule: Body, where: str) -> list[Cause]:
    """Operations, groups, versions, resources and scope."""
    causes: list[Cause] = []
    for field in ("operations", "apiGroups", "apiVersions", "resources"):
        values = rule.get(field) or []
        if not values:
            causes.append(names.required(f"{where}.{field}"))
        if "*" in values and len(values) > 1 and field != "resources":
            detail = "if '*' is present, must not specify other "
            words = {"operations": "operations", "apiGroups": "API groups"}
            shown = detail + words.get(field, "API versions")
            causes.append(names.invalid(f"{where}.{field}", values, shown))
    causes += [
        names.unsupported(f"{where}.operations[{index}]", operation, _OPERATIONS)
        for index, operation in enumerate(rule.get("operations") or ())
        if operation not in _OPERATIONS
    ]
    scope = rule.get("scope")
    if scope is not None and scope not in _SCOPES:
        causes.append(names.unsupported(f"{where}.scope", scope, _SCOPES))
    return causes


def _check_client(client: Body, where: str) -> list[Cause]:
    url, service = client.get("url"), client.get("service")
    if (url is None) == (service is None):
        return [names.required(where, "exactly one of url or service is required")]
    if service is None:
        return _check_url(url or "", f"{where}.url")
    causes = [
        names.required(f"{where}.service.{field}")
        for field in ("name", "namespace")
        if not service.get(field)
    ]
    if not names.PORT_MAX >= service.get("port", 443) >= 1:
        detail = "port is not valid: must be between 1 and 65535, inclusive"
        causes.append(names.invalid(f"{where}.service.port", service["port"], detail))
    path = service.get("path")
    if path and not path.startswith("/"):
        causes.append(names.invalid(f"{where}.service.path", path, "must start with a '/'"))
    return causes


def _check_url(url: str, field: str) -> list[Cause]:
    parts = urlsplit(url)
    form = "desired format: https://host[/path]"
    causes = []
    if parts.scheme != "https":
        detail = f"'https' is the only allowed URL scheme; {form}"
        causes.append(names.invalid(field, parts.scheme, detail))
    if not parts.netloc:
        causes.append(names.invalid(field, parts.netloc, f"host must be specified; {form}"))
    for shown, word in ((parts.query, "query parameters"), (parts.fragment, "fragments")):
        if shown:
            detail = f"{word} are not permitted in the URL; {form}"
            causes.append(names.invalid(field, shown, detail))
    return causes


def _default_policy(body: Body) -> None:
    spec = body.setdefault("spec", {})
    spec.setdefault("failurePolicy", "Fail")
    if body.get("kind") == "MutatingAdmissionPolicy":
        spec.setdefault("reinvocationPolicy", "Never")
    if (constraints := spec.get("matchConstraints")) is not None:
        _default_constraints(constraints)


def _default_constraints(constraints: Body) -> None:
    _default_matching(constraints)
    for member in ("resourceRules", "excludeResourceRules"):
        for rule in constraints.get(member) or ():
            rule.setdefault("scope", "*")


def _check_policy(body: Body) -> list[Cause]:
    spec = body.get("spec") or {}
    causes: list[Cause] = []
    if spec.get("failurePolicy") not in _FAILURE:
        policy = spec.get("failurePolicy", "")
        causes.append(names.unsupported("spec.failurePolicy", policy, _FAILURE))
    if (kind := spec.get("paramKind")) is not None:
        causes += [
            names.required(f"spec.paramKind.{field}")
            for field in ("apiVersion", "kind")
            if not kind.get(field)
        ]
    constraints = spec.get("matchConstraints")
    if constraints is None:
        causes.append(names.required("spec.matchConstraints"))
    else:
        causes += _check_constraints(constraints, "spec.matchConstraints", needed=True)
    causes += _check_conditions(spec.get("matchConditions") or [], "spec")
    return causes + (
        _check_mutations(spec)
        if body.get("kind") == "MutatingAdmissionPolicy"
        else _check_validations(spec)
    )


def _check_constraints(constraints: Body, path: str, *, needed: bool) -> list[Cause]:
    causes: list[Cause] = []
    if needed and not constraints.get("resourceRules"):
        causes.append(names.required(f"{path}.resourceRules"))
    for field in ("namespaceSelector", "objectSelector"):
        causes += check_selector(constraints.get(field) or {}, f"{path}.{field}")
    policy = constraints.get("matchPolicy")
    if policy is not None and policy not in _MATCH:
        causes.append(names.unsupported(f"{path}.matchPolicy", policy, _MATCH))
    for member in ("resourceRules", "excludeResourceRules"):
        for index, rule in enumerate(constraints.get(member) or ()):
            causes += check_rule(rule, f"{path}.{member}[{index}]")
    return causes


def _check_validations(spec: Body) -> list[Cause]:
    causes = _unspecified(spec, "variables", "name", "expression")
    if not spec.get("validations") and not spec.get("auditAnnotations"):
        detail = "validations or auditAnnotations must contain at least one item"
        fields = ("spec.validations", "spec.auditAnnotations")
        return causes + [names.required(field, detail) for field in fields]
    causes += _unspecified(spec, "validations", "expression")
    for index, validation in enumerate(spec.get("validations") or ()):
        causes += _check_validation(validation, f"spec.validations[{index}]")
    return causes + _unspecified(spec, "auditAnnotations", "key", "valueExpression")


def _unspecified(spec: Body, member: str, *fields: str) -> list[Cause]:
    """What each item of a list must tell."""
    return [
        names.required(f"spec.{member}[{index}].{field}", f"{field} is not specified")
        for index, item in enumerate(spec.get(member) or ())
        for field in fields
        if not (item.get(field) or "").strip()
    ]


def _check_validation(validation: Body, where: str) -> list[Cause]:
    causes = []
    message, reason = validation.get("message", ""), validation.get("reason")
    if message and not message.strip():
        detail = "message must be non-empty if specified"
        causes.append(names.invalid(f"{where}.message", message, detail))
    elif "\n" in message.strip():
        detail = "message must not contain line breaks"
        causes.append(names.invalid(f"{where}.message", message, detail))
    if reason is not None and reason not in _REASONS:
        causes.append(names.unsupported(f"{where}.reason", reason, _REASONS))
    return causes


def _check_mutations(spec: Body) -> list[Cause]:
    mutations = spec.get("mutations") or []
    if not mutations:
        return [names.required("spec.mutations", "mutations must contain at least one item")]
    causes: list[Cause] = []
    for index, mutation in enumerate(mutations):
        where, kind = f"spec.mutations[{index}]", mutation.get("patchType", "")
        if kind not in _PATCHES:
            causes.append(names.unsupported(f"{where}.patchType", kind, _PATCHES))
            continue
        field = "applyConfiguration" if kind == "ApplyConfiguration" else "jsonPatch"
        if not (mutation.get(field) or {}).get("expression"):
            causes.append(names.required(f"{where}.{field}.expression"))
    return causes


def _default_binding(body: Body) -> None:
    spec = body.setdefault("spec", {})
    if (resources := spec.get("matchResources")) is not None:
        _default_constraints(resources)


def _check_binding(body: Body) -> list[Cause]:
    spec = body.get("spec") or {}
    field, name = "spec.policyName", spec.get("policyName", "")
    causes = names.check(names.subdomain, name, field) if name else [names.required(field)]
    if (reference := spec.get("paramRef")) is not None:
        causes += _check_parameters(reference, "spec.paramRef")
    if (resources := spec.get("matchResources")) is not None:
        causes += _check_constraints(resources, "spec.matchResources", needed=False)
    if body.get("kind") == "MutatingAdmissionPolicyBinding":
        return causes
    actions = spec.get("validationActions") or []
    field = "spec.validationActions"
    if not actions:
        causes.append(names.required(field, "at least one validation action is required"))
    for index, action in enumerate(actions):
        if action not in _ACTIONS:
            causes.append(names.unsupported(f"{field}[{index}]", action, _ACTIONS))
        if action in actions[:index]:
            causes.append(names.duplicate(f"{field}[{index}]", action))
    if {"Deny", "Warn"} <= set(actions):
        detail = "must not contain both Deny and Warn (repeating the same validation failure "
        detail += "information in the API response and headers serves no purpose)"
        causes.append(names.invalid(field, actions, detail))
    return causes


def _check_parameters(reference: Body, path: str) -> list[Cause]:
    name, selector = reference.get("name"), reference.get("selector")
    causes: list[Cause] = []
    if name and selector is not None:
        detail = "name and selector are mutually exclusive"
        causes.append(names.forbidden(f"{path}.name", detail))
    elif not name and selector is None:
        causes.append(names.required(path, "one of name or selector must be specified"))
    action = reference.get("parameterNotFoundAction")
    field = f"{path}.parameterNotFoundAction"
    if action is None:
        causes.append(names.required(field))
    elif action not in _NOT_FOUND:
        causes.append(names.unsupported(field, action, _NOT_FOUND))
    return causes


WEBHOOKS = Strategy(_default_webhooks, _check_webhooks)
POLICY = Strategy(_default_policy, _check_policy)
BINDING = Strategy(_default_binding, _check_binding)
BY_KIND = {
    "MutatingWebhookConfiguration": WEBHOOKS,
    "ValidatingWebhookConfiguration": WEBHOOKS,
    "MutatingAdmissionPolicy": POLICY,
    "ValidatingAdmissionPolicy": POLICY,
    "MutatingAdmissionPolicyBinding": BINDING,
    "ValidatingAdmissionPolicyBinding": BINDING,
}
