"""Jobs: defaults, rules, and what of a Job may change."""

from pilothouse.services.apiserver.strategies.pod.pod_rules import check_template
from pilothouse.services.apiserver.strategies.selectors import check_match
from pilothouse.services.apiserver.strategies.strategy import Body, Strategy, immutable
from pilothouse.services.apiserver.strategies.workload.job_policies import (
    check_failure_policy,
    check_success_policy,
)
from pilothouse.services.apiserver.strategies.workload.job_statuses import check_status
from pilothouse.services.apiserver.strategies.workload.workloads import (
    default_template,
    template_labels,
)
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause

BACKOFF_LIMIT = 6
INT_MAX = 2**31 - 1
PARALLELISM_MAX = 100_000
COMPLETIONS_MANY = 100_000
MANY_AT_ONCE_MAX = 10_000
MANAGER_MAX = 63
CONTROLLER_UID = "batch.kubernetes.io/controller-uid"
JOB_NAME = "batch.kubernetes.io/job-name"
_POLICIES = ("OnFailure", "Never")
_MODES = ("NonIndexed", "Indexed")
_COUNTS = (
    "parallelism", "completions", "activeDeadlineSeconds", "backoffLimit",
    "ttlSecondsAfterFinished", "backoffLimitPerIndex", "maxFailedIndexes",
)  # fmt: skip
_FIXED = ("completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy",
          "successPolicy")  # fmt: skip
_SCHEDULING = ("nodeSelector", "tolerations", "schedulingGates")


def default_spec(spec: Body) -> None:
    """The spec of a Job; a CronJob's template of one is left as it is, but for its pods."""
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = spec["parallelism"] = 1
    spec.setdefault("parallelism", 1)
    spec.setdefault("completionMode", "NonIndexed")
    spec.setdefault("suspend", False)
    per_index = spec.get("backoffLimitPerIndex") is not None
    spec.setdefault("backoffLimit", INT_MAX if per_index else BACKOFF_LIMIT)
    replacement = "Failed" if spec.get("podFailurePolicy") else "TerminatingOrFailed"
    spec.setdefault("podReplacementPolicy", replacement)
    for rule in (spec.get("podFailurePolicy") or {}).get("rules") or ():
        for pattern in rule.get("onPodConditions") or ():
            pattern.setdefault("status", "True")
    default_template(spec)


def own_selector(body: Body) -> None:
    """A selector of its own: the Job's pods carry its uid."""
    spec = body["spec"]
    if spec.get("manualSelector"):
        return
    metadata = body["metadata"]
    uid, name = metadata["uid"], metadata["name"]
    labels = spec["template"]["metadata"].setdefault("labels", {})
    bare = metadata.get("labels") in (None, labels)
    for key, value in ((JOB_NAME, name), ("job-name", name), ("controller-uid", uid)):
        labels.setdefault(key, value)
    labels.setdefault(CONTROLLER_UID, uid)
    if bare:
        metadata["labels"] = dict(labels)
    selector = spec.setdefault("selector", {})
    selector.setdefault("matchLabels", {}).setdefault(CONTROLLER_UID, uid)


def _default(body: Body) -> None:
    spec = body.setdefault("spec", {})
    default_spec(spec)
    labels = template_labels(spec)
    if labels and not body.setdefault("metadata", {}).get("labels"):
        body["metadata"]["labels"] = dict(labels)


def _check(body: Body) -> list[Cause]:
    spec = body.get("spec") or {}
    causes = _generated(body) if not spec.get("manualSelector") else []
    causes += check_job_spec(spec, "spec")
    causes += check_match(spec.get("selector"), template_labels(spec), "job")
    completions = spec.get("completions") or 0
    if spec.get("completionMode") == "Indexed" and completions > 0:
        # The last of its pods is named, and known to the others, like that.
        name = body["metadata"].get("name", "")
        last = f"{name}-{completions - 1}"
        if names.label(last):
            detail = f"will not able to create pod with invalid DNS label: {last}"
            causes.append(names.invalid("metadata.name", name, detail))
    return causes


def _generated(body: Body) -> list[Cause]:
    """What the server wrote into the template is there and says what it should."""
    metadata, spec = body["metadata"], body["spec"]
    labels = template_labels(spec)
    uid, name = metadata.get("uid", ""), metadata.get("name", "")
    expected = {"controller-uid": uid, "job-name": name, CONTROLLER_UID: uid, JOB_NAME: name}
    causes = []
    for key, value in expected.items():
        field, detail = f"spec.template.metadata.labels[{key}]", f"must be '{value}'"
        if key not in labels:
            causes.append(names.required(field, detail))
        elif labels[key] != value:
            causes.append(names.invalid(field, labels, detail))
    match = (spec.get("selector") or {}).get("matchLabels") or {}
    if any(expected.get(key) != value for key, value in match.items()):
        detail = "`selector` not auto-generated"
        causes.append(names.invalid("spec.selector", spec["selector"], detail))
    return causes


def check_job_spec(spec: Body, path: str) -> list[Cause]:
    """Everything but the selector."""
    causes: list[Cause] = []
    for field in _COUNTS:
        causes += names.check_least(spec.get(field), f"{path}.{field}")
    if spec.get("maxFailedIndexes") is not None and spec.get("backoffLimitPerIndex") is None:
        detail = "when maxFailedIndexes is specified"
        causes.append(names.required(f"{path}.backoffLimitPerIndex", detail))
    causes += _check_manager(spec.get("managedBy"), f"{path}.managedBy")
    causes += _check_mode(spec, path)
    if (policy := spec.get("podFailurePolicy")) is not None:
        causes += check_failure_policy(policy, spec, f"{path}.podFailurePolicy")
    if (policy := spec.get("successPolicy")) is not None:
        causes += check_success_policy(policy, spec, f"{path}.successPolicy")
    causes += _check_replacement(spec, f"{path}.podReplacementPolicy")
    template = spec.get("template") or {}
    causes += check_template(template, f"{path}.template")
    restart = (template.get("spec") or {}).get("restartPolicy", "Always")
    field = f"{path}.template.spec.restartPolicy"
    if restart == "Always":
        causes.append(names.required(field, 'valid values: "OnFailure", "Never"'))
    elif restart not in _POLICIES:
        causes.append(names.unsupported(field, restart, _POLICIES))
    elif spec.get("podFailurePolicy") is not None and restart != "Never":
        detail = 'only "Never" is supported when podFailurePolicy is specified'
        causes.append(names.invalid(field, restart, detail))
    return causes


def _check_manager(manager: str | None, field: str) -> list[Cause]:
    if manager is None:
        return []
    causes = []
    domain, slash, rest = manager.partition("/")
    if not manager:
        causes.append(names.required(field))
    elif not slash or not domain or not rest:
        detail = 'must be a domain-prefixed path (such as "acme.io/foo")'
        causes.append(names.invalid(field, manager, detail))
    elif wrong := names.subdomain(domain):
        causes.append(names.invalid(field, domain, wrong))
    if len(manager) > MANAGER_MAX:
        causes.append(names.too_long(field, MANAGER_MAX))
    return causes


def _check_mode(spec: Body, path: str) -> list[Cause]:
    mode = spec.get("completionMode", "NonIndexed")
    if mode not in _MODES:
        return [names.unsupported(f"{path}.completionMode", mode, _MODES)]
    causes = []
    if mode == "NonIndexed":
        for field in ("backoffLimitPerIndex", "maxFailedIndexes"):
            if spec.get(field) is not None:
                detail = "requires indexed completion mode"
                causes.append(names.invalid(f"{path}.{field}", spec[field], detail))
        return causes
    if spec.get("completions") is None:
        detail = "when completion mode is Indexed"
        causes.append(names.required(f"{path}.completions", detail))
    parallelism = spec.get("parallelism", 1)
    if parallelism > PARALLELISM_MAX:
        detail = f"must be less than or equal to {PARALLELISM_MAX} when completion mode is Indexed"
        causes.append(names.invalid(f"{path}.parallelism", parallelism, detail))
    failed, completions = spec.get("maxFailedIndexes"), spec.get("completions")
    if failed is not None and completions is not None and failed > completions:
        detail = "must be less than or equal to completions"
        causes.append(names.invalid(f"{path}.maxFailedIndexes", failed, detail))
    if failed is not None and failed > PARALLELISM_MAX:
        detail = f"must be less than or equal to {PARALLELISM_MAX}"
        causes.append(names.invalid(f"{path}.maxFailedIndexes", failed, detail))
    many = completions is not None and completions > COMPLETIONS_MANY
    if many and spec.get("backoffLimitPerIndex") is not None:
        causes += _check_many(spec, path)
    return causes


def _check_many(spec: Body, path: str) -> list[Cause]:
    """So many indexes that fail each on its own must stay few."""
    causes = []
    if spec.get("maxFailedIndexes") is None:
        detail = f"must be specified when completions is above {COMPLETIONS_MANY}"
        causes.append(names.required(f"{path}.maxFailedIndexes", detail))
    for field in ("parallelism", "maxFailedIndexes"):
        if (value := spec.get(field)) is not None and value > MANY_AT_ONCE_MAX:
            detail = f"must be less than or equal to {MANY_AT_ONCE_MAX} when completions are "
            detail += f"above {COMPLETIONS_MANY} and used with backoff limit per index"
            causes.append(names.invalid(f"{path}.{field}", value, detail))
    return causes


def _check_replacement(spec: Body, field: str) -> list[Cause]:
    policy = spec.get("podReplacementPolicy")
    choices = ("Failed",) if spec.get("podFailurePolicy") else ("Failed", "TerminatingOrFailed")
    if policy is None or policy in choices:
        return []
    return [names.unsupported(field, policy, choices)]


def _check_update(new: Body, old: Body) -> list[Cause]:
    after, before = new.get("spec") or {}, old.get("spec") or {}
    causes = _completions(after, before)
    for field in ("selector", *_FIXED):
        causes += immutable(f"spec.{field}", after.get(field), after.get(field), before.get(field))
    template = after.get("template")
    if before.get("suspend") and _rests(old.get("status") or {}):
        template = _as_scheduled(after.get("template") or {}, before.get("template") or {})
    return causes + immutable("spec.template", template, template, before.get("template"))


def _rests(status: Body) -> bool:
    """Whether a suspended Job has no pod that was made of its template."""
    said = status.get("conditions") or ()
    seen = any(item["type"] == "Suspended" and item["status"] == "True" for item in said)
    return not status.get("active") and (seen or not status.get("startTime"))


def _completions(after: Body, before: Body) -> list[Cause]:
    value = after.get("completions")
    if value == before.get("completions"):
        return []
    if after.get("completionMode") != "Indexed":
        return [names.invalid("spec.completions", value, "field is immutable")]
    if value is None or value == after.get("parallelism"):
        return []
    detail = "can only be modified in tandem with spec.parallelism"
    return [names.invalid("spec.completions", value, detail)]


def _as_scheduled(new: Body, old: Body) -> Body:
    """The new template with what may change while suspended as it was."""
    spec, before = dict(new.get("spec") or {}), old.get("spec") or {}
    for field in _SCHEDULING:
        _take(spec, before, field)
    affinity = dict(spec.get("affinity") or {})
    _take(affinity, before.get("affinity") or {}, "nodeAffinity")
    if affinity or before.get("affinity") is not None:
        spec["affinity"] = affinity
    else:
        spec.pop("affinity", None)
    for member in ("initContainers", "containers"):
        was = before.get(member) or []
        if member in spec and len(spec[member]) == len(was):
            spec[member] = [
                {**container, "resources": old_one.get("resources") or {}}
                for container, old_one in zip(spec[member], was, strict=True)
            ]
    metadata = dict(new.get("metadata") or {})
    for field in ("labels", "annotations"):
        _take(metadata, old.get("metadata") or {}, field)
    return {**new, "metadata": metadata, "spec": spec}


def _take(document: Body, source: Body, field: str) -> None:
    if field in source:
        document[field] = source[field]
    else:
        document.pop(field, None)


JOB = Strategy(_default, _check, _check_update, check_status=check_status)
