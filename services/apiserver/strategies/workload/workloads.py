"""Kinds that own pods and keep them running: apps/v1 and ReplicationController."""

import re
from typing import Any

from pilothouse.services.apiserver.strategies.pod import pod_defaults, pod_rules
from pilothouse.services.apiserver.strategies.selectors import check_map_match, check_match
from pilothouse.services.apiserver.strategies.strategy import Body, Strategy, immutable
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause

HISTORY = 10
TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
PROGRESS_SECONDS = 600
WHOLE_PERCENT = 100
_PERCENT = re.compile(r"[0-9]+%")
_WRONG_PERCENT = (
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or "
    "'93%', regex used for validation is '[0-9]+%')"
)
_DEPLOYMENT_STRATEGIES = ("Recreate", "RollingUpdate")
_SCHEDULED = (
    "currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady",
    "observedGeneration", "updatedNumberScheduled", "numberAvailable", "numberUnavailable",
)  # fmt: skip


def default_template(spec: Body) -> None:
    """The pod template of a workload's spec."""
    pod_defaults.default_template(spec.setdefault("template", {}))


def template_labels(spec: Body) -> dict[str, str]:
    """The labels that new pods get."""
    labels: dict[str, str] = ((spec.get("template") or {}).get("metadata") or {}).get(
        "labels"
    ) or {}
    return labels


def check_template(spec: Body, owner: str, policies: tuple[str, ...] = ("Always",)) -> list[Cause]:
    """The template's pods are good ones, and restart as their owner needs it."""
    causes = pod_rules.check_template(spec.get("template") or {}, "spec.template")
    return causes + check_restarts(spec, owner, policies)


def check_restarts(spec: Body, owner: str, policies: tuple[str, ...] = ("Always",)) -> list[Cause]:
    """The restart policy that the owner of pods needs."""
    pod = (spec.get("template") or {}).get("spec") or {}
    policy = pod.get("restartPolicy", "Always")
    causes = []
    if policy not in policies:
        causes.append(names.unsupported("spec.template.spec.restartPolicy", policy, policies))
    if pod.get("activeDeadlineSeconds") is not None and policies == ("Always",):
        field = "spec.template.spec.activeDeadlineSeconds"
        detail = f"activeDeadlineSeconds in {owner} is not Supported"
        causes.append(names.forbidden(field, detail))
    return causes


def check_counts(spec: Body, *fields: str) -> list[Cause]:
    """These are not negative where they are given."""
    causes: list[Cause] = []
    for field in fields:
        causes += names.check_least(spec.get(field), f"spec.{field}")
    return causes


def check_statuses(*fields: str, ready: str = "readyReplicas") -> Any:
    """A check of a status: counts are not negative and not over the number of replicas."""

    def check(new: Body, _old: Body) -> list[Cause]:
        status = new.get("status") or {}
        causes: list[Cause] = []
        total = status.get("replicas", 0)
        for field in ("replicas", *fields, "observedGeneration"):
            causes += names.check_least(status.get(field), f"status.{field}")
        for field in fields:
            value = status.get(field, 0)
            if value > total:
                detail = "cannot be greater than status.replicas"
                causes.append(names.invalid(f"status.{field}", value, detail))
        available = status.get("availableReplicas", 0)
        if available > status.get("readyReplicas", 0):
            detail = f"cannot be greater than {ready}"
            causes.append(names.invalid("status.availableReplicas", available, detail))
        return causes

    return check


def default_rolling(strategy: Body, **values: Any) -> None:
    """A rolling update, with its amounts."""
    if not strategy.get("type"):
        strategy["type"] = "RollingUpdate"
    if strategy["type"] == "RollingUpdate":
        rolling = strategy.get("rollingUpdate") or {}
        for field, value in values.items():
            rolling.setdefault(field, value)
        strategy["rollingUpdate"] = rolling


def _default_deployment(body: Body) -> None:
    spec = body.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    spec.setdefault("revisionHistoryLimit", HISTORY)
    spec.setdefault("progressDeadlineSeconds", PROGRESS_SECONDS)
    default_rolling(spec.setdefault("strategy", {}), maxUnavailable="25%", maxSurge="25%")
    default_template(spec)


def _check_deployment(body: Body) -> list[Cause]:
    spec = body.get("spec") or {}
    causes = check_counts(spec, "replicas")
    causes += check_match(spec.get("selector"), template_labels(spec), "deployment")
    causes += check_template(spec, "ReplicaSet")
    strategy = spec.get("strategy") or {}
    kind = strategy.get("type", "")
    rolling = strategy.get("rollingUpdate")
    if kind not in _DEPLOYMENT_STRATEGIES:
        causes.append(_unknown("spec.strategy", strategy, _DEPLOYMENT_STRATEGIES))
    elif kind == "Recreate" and rolling is not None:
        detail = "may not be specified when strategy `type` is 'Recreate'"
        causes.append(names.forbidden("spec.strategy.rollingUpdate", detail))
    elif rolling is not None:
        path = "spec.strategy.rollingUpdate"
        causes += _amounts(rolling, path) + _zero_surge(rolling, path)
        causes += check_whole(rolling.get("maxUnavailable"), f"{path}.maxUnavailable")
    causes += check_counts(spec, "minReadySeconds", "revisionHistoryLimit")
    minimum, deadline = spec.get("minReadySeconds") or 0, spec.get("progressDeadlineSeconds")
    if deadline is not None:
        causes += names.check_least(deadline, "spec.progressDeadlineSeconds")
        if deadline <= minimum:
            detail = "must be greater than minReadySeconds"
            causes.append(names.invalid("spec.progressDeadlineSeconds", deadline, detail))
    return causes


def _unknown(field: str, strategy: Body, choices: tuple[str, ...]) -> Cause:
    shown = {"Type": strategy.get("type", ""), "RollingUpdate": strategy.get("rollingUpdate")}
    return names.unsupported(field, shown, choices)


def is_zero(value: Any) -> bool:
    """Whether it comes to nothing, be it a count, a percentage, or no number at all."""
    if isinstance(value, str):
        number = value.removesuffix("%")
        return not (number.isascii() and number.isdigit()) or int(number) == 0
    return not value


def _zero_surge(rolling: Body, path: str) -> list[Cause]:
    value = rolling.get("maxUnavailable")
    if not (is_zero(value) and is_zero(rolling.get("maxSurge"))):
        return []
    detail = "may not be 0 when `maxSurge` is 0"
    return [names.invalid(f"{path}.maxUnavailable", value, detail)]


def _amounts(rolling: Body, path: str) -> list[Cause]:
    return [
        cause
        for field in ("maxUnavailable", "maxSurge")
        for cause in check_share(rolling.get(field), f"{path}.{field}")
    ]


def check_share(value: Any, field: str) -> list[Cause]:
    """A count or a percentage, where it is given."""
    if isinstance(value, str):
        fits = _PERCENT.fullmatch(value)
        return [] if fits else [names.invalid(field, value, _WRONG_PERCENT)]
    return names.check_least(value, field)


def check_whole(value: Any, field: str) -> list[Cause]:
    """A percentage is of no more than all."""
    if not isinstance(value, str) or not _PERCENT.fullmatch(value):
        return []
    if int(value[:-1]) <= WHOLE_PERCENT:
        return []
    return [names.invalid(field, value, "must not be greater than 100%")]


def _default_replica_set(body: Body) -> None:
    spec = body.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    default_template(spec)


def _check_replica_set(body: Body) -> list[Cause]:
    spec = body.get("spec") or {}
    causes = check_counts(spec, "replicas", "minReadySeconds")
    causes += check_match(spec.get("selector"), template_labels(spec), "deployment")
    return causes + check_template(spec, "ReplicaSet")


def _default_replication_controller(body: Body) -> None:
    spec = body.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    if spec.get("template") is not None:
        default_template(spec)
    labels = template_labels(spec)
    if labels and not spec.get("selector"):
        spec["selector"] = dict(labels)
    if labels and not body.setdefault("metadata", {}).get("labels"):
        body["metadata"]["labels"] = dict(labels)


def _check_replication_controller(body: Body) -> list[Cause]:
    spec = body.get("spec") or {}
    causes = check_counts(spec, "minReadySeconds")
    match = check_map_match(spec.get("selector") or {}, template_labels(spec))
    if not spec.get("selector"):
        causes, match = causes + match, []
    causes += check_counts(spec, "replicas")
    if spec.get("template") is None:
        return [*causes, names.required("spec.template")]
    return causes + match + check_template(spec, "ReplicationController")


def _default_daemon_set(body: Body) -> None:
    spec = body.setdefault("spec", {})
    spec.setdefault("revisionHistoryLimit", HISTORY)
    default_rolling(spec.setdefault("updateStrategy", {}), maxUnavailable=1, maxSurge=0)
    default_template(spec)
    annotations = body.setdefault("metadata", {}).setdefault("annotations", {})
    annotations.setdefault(TEMPLATE_GENERATION, "1")


def _count_templates(new: Body, old: Body) -> None:
    """How often the template has changed, in the annotation where old clients look for it."""
    after, before = new.get("spec") or {}, old.get("spec") or {}
    default_template(after)
    known = (old["metadata"].get("annotations") or {}).get(TEMPLATE_GENERATION, "1")
    number = int(known) if known.isdigit() else 1
    number += after.get("template") != before.get("template")
    new["metadata"].setdefault("annotations", {})[TEMPLATE_GENERATION] = str(number)


def _check_daemon_set(body: Body) -> list[Cause]:
    spec = body.get("spec") or {}
    selector = spec.get("selector")
    causes = check_match(selector, template_labels(spec), "daemonset")
    causes += check_template(spec, "DaemonSet")
    causes += check_counts(spec, "minReadySeconds")
    strategy = spec.get("updateStrategy") or {}
    kind = strategy.get("type", "")
    if kind not in ("OnDelete", "RollingUpdate"):
        choices = ("RollingUpdate", "OnDelete")
        causes.append(_unknown("spec.updateStrategy", strategy, choices))
    elif kind == "RollingUpdate":
        path = "spec.updateStrategy.rollingUpdate"
        rolling = strategy.get("rollingUpdate") or {}
        causes += _amounts(rolling, path)
        for field in ("maxUnavailable", "maxSurge"):
            causes += check_whole(rolling.get(field), f"{path}.{field}")
        causes += _one_of_both(rolling, path)
    return causes + check_counts(spec, "revisionHistoryLimit")


def _one_of_both(rolling: Body, path: str) -> list[Cause]:
    surge, gone = rolling.get("maxSurge"), rolling.get("maxUnavailable")
    if is_zero(gone) and is_zero(surge):
        detail = "cannot be 0 when maxSurge is 0"
        return [names.required(f"{path}.maxUnavailable", detail)]
    if not is_zero(gone) and not is_zero(surge):
        detail = "may not be set when maxUnavailable is non-zero"
        return [names.invalid(f"{path}.maxSurge", surge, detail)]
    return []


def same_selector(new: Body, old: Body) -> list[Cause]:
    """Whose pods they are is settled at birth."""
    after = (new.get("spec") or {}).get("selector")
    return immutable("spec.selector", after, after, (old.get("spec") or {}).get("selector"))


def _check_scheduled(new: Body, _old: Body) -> list[Cause]:
    status = new.get("status") or {}
    return [
        cause
        for field in _SCHEDULED
        for cause in names.check_least(status.get(field), f"status.{field}")
    ]


_REPLICAS = check_statuses("fullyLabeledReplicas", "readyReplicas", "availableReplicas")

DEPLOYMENT = Strategy(
    _default_deployment,
    _check_deployment,
    same_selector,
    check_status=check_statuses("updatedReplicas", "readyReplicas", "availableReplicas"),
)
REPLICA_SET = Strategy(
    _default_replica_set, _check_replica_set, same_selector, check_status=_REPLICAS
)
DAEMON_SET = Strategy(
    _default_daemon_set,
    _check_daemon_set,
    same_selector,
    check_status=_check_scheduled,
    keep=_count_templates,
)
REPLICATION_CONTROLLER = Strategy(
    _default_replication_controller, _check_replication_controller, check_status=_REPLICAS
)
