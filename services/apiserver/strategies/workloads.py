"""Kinds that own pods and keep them running: apps/v1 and ReplicationController."""

import re
from collections.abc import Callable
from typing import Any

from pilothouse.services.apiserver.strategies.pod_defaults import default_spec
from pilothouse.services.apiserver.strategies.pod_rules import check_spec
from pilothouse.services.apiserver.strategies.selectors import check_map_match, check_match
from pilothouse.services.apiserver.strategies.strategy import Body, Strategy, immutable
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause

HISTORY = 10
PROGRESS_SECONDS = 600
WHOLE_PERCENT = 100
_PERCENT = re.compile(r"\d+%")
_DEPLOYMENT_STRATEGIES = ("Recreate", "RollingUpdate")
_UPDATE_STRATEGIES = ("OnDelete", "RollingUpdate")
_POD_MANAGEMENT = ("OrderedReady", "Parallel")


def default_template(spec: Body) -> None:
    """The pod template of a workload's spec."""
    template = spec.setdefault("template", {})
    template.setdefault("metadata", {})
    default_spec(template.setdefault("spec", {}))


def template_labels(spec: Body) -> dict[str, str]:
    """The labels that new pods get."""
    labels: dict[str, str] = ((spec.get("template") or {}).get("metadata") or {}).get(
        "labels"
    ) or {}
    return labels


def check_template(spec: Body, policies: tuple[str, ...] = ("Always",)) -> list[Cause]:
    """The template's pods are good ones, and restart as their owner needs it."""
    pod = (spec.get("template") or {}).get("spec") or {}
    causes = check_spec(pod, "spec.template.spec")
    policy = pod.get("restartPolicy", "Always")
    if policy not in policies:
        causes.append(names.unsupported("spec.template.spec.restartPolicy", policy, policies))
    if pod.get("activeDeadlineSeconds") is not None and policies == ("Always",):
        field = "spec.template.spec.activeDeadlineSeconds"
        causes.append(names.forbidden(field, "activeDeadlineSeconds in this kind is not Supported"))
    return causes


def check_counts(spec: Body, *fields: str) -> list[Cause]:
    """These are not negative where they are given."""
    return [
        names.invalid(f"spec.{field}", spec[field], "must be greater than or equal to 0")
        for field in fields
        if spec.get(field) is not None and spec[field] < 0
    ]


def _default_deployment(body: Body) -> None:
    spec = body.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    spec.setdefault("revisionHistoryLimit", HISTORY)
    spec.setdefault("progressDeadlineSeconds", PROGRESS_SECONDS)
    strategy = spec.setdefault("strategy", {})
    if not strategy.get("type"):
        strategy["type"] = "RollingUpdate"
    if strategy["type"] == "RollingUpdate":
        rolling = strategy.get("rollingUpdate") or {}
        rolling.setdefault("maxUnavailable", "25%")
        rolling.setdefault("maxSurge", "25%")
        strategy["rollingUpdate"] = rolling
    default_template(spec)


def _check_deployment(body: Body) -> list[Cause]:
    spec = body.get("spec") or {}
    causes = check_counts(
        spec, "replicas", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"
    )
    causes += check_match(spec.get("selector"), template_labels(spec))
    causes += check_template(spec)
    causes += _check_rolling(spec.get("strategy") or {}, "spec.strategy", _DEPLOYMENT_STRATEGIES)
    minimum, deadline = spec.get("minReadySeconds") or 0, spec.get("progressDeadlineSeconds")
    if deadline is not None and 0 <= deadline <= minimum:
        detail = "must be greater than minReadySeconds"
        causes.append(names.invalid("spec.progressDeadlineSeconds", deadline, detail))
    return causes


def _check_rolling(strategy: Body, path: str, types: tuple[str, ...]) -> list[Cause]:
    kind = strategy.get("type", "")
    if kind not in types:
        return [names.unsupported(f"{path}.type", kind, types)]
    rolling = strategy.get("rollingUpdate")
    if kind != "RollingUpdate":
        detail = f"may not be specified when strategy `type` is '{kind}'"
        return [names.forbidden(f"{path}.rollingUpdate", detail)] if rolling else []
    causes = []
    amounts = {}
    for field in ("maxUnavailable", "maxSurge"):
        value = (rolling or {}).get(field)
        if value is None:
            continue
        amounts[field] = value
        causes += _check_share(value, f"{path}.rollingUpdate.{field}")
    if "maxUnavailable" in amounts and set(amounts.values()) <= {0, "0%"}:
        detail = "may not be 0 when `maxSurge` is 0"
        field = f"{path}.rollingUpdate.maxUnavailable"
        causes.append(names.invalid(field, amounts["maxUnavailable"], detail))
    return causes


def _check_share(value: Any, field: str) -> list[Cause]:
    if isinstance(value, int):
        if value >= 0:
            return []
        return [names.invalid(field, value, "must be greater than or equal to 0")]
    if not _PERCENT.fullmatch(value):
        detail = "a valid percent string must be a numeric string followed by an ending '%' (e.g. "
        detail += "'1%',  or '93%', regex used for validation is '[0-9]+%')"
        return [names.invalid(field, value, detail)]
    if field.endswith("maxUnavailable") and int(value[:-1]) > WHOLE_PERCENT:
        return [names.invalid(field, value, "must not be greater than 100%")]
    return []


def _default_replica_set(body: Body) -> None:
    spec = body.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    default_template(spec)


def _check_replica_set(body: Body) -> list[Cause]:
    spec = body.get("spec") or {}
    causes = check_counts(spec, "replicas", "minReadySeconds")
    causes += check_match(spec.get("selector"), template_labels(spec))
    return causes + check_template(spec)


def _default_replication_controller(body: Body) -> None:
    spec = body.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    default_template(spec)
    labels = template_labels(spec)
    if labels and not spec.get("selector"):
        spec["selector"] = dict(labels)
    if labels and not body.setdefault("metadata", {}).get("labels"):
        body["metadata"]["labels"] = dict(labels)


def _check_replication_controller(body: Body) -> list[Cause]:
    spec = body.get("spec") or {}
    causes = check_counts(spec, "replicas", "minReadySeconds")
    causes += check_map_match(spec.get("selector") or {}, template_labels(spec))
    return causes + check_template(spec)


def _default_stateful_set(body: Body) -> None:
    spec = body.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    spec.setdefault("revisionHistoryLimit", HISTORY)
    spec.setdefault("podManagementPolicy", "OrderedReady")
    strategy = spec.setdefault("updateStrategy", {})
    if not strategy.get("type"):
        strategy["type"] = "RollingUpdate"
    if strategy["type"] == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("partition", 0)
    retention = spec.setdefault("persistentVolumeClaimRetentionPolicy", {})
    retention.setdefault("whenDeleted", "Retain")
    retention.setdefault("whenScaled", "Retain")
    default_template(spec)
    for claim in spec.get("volumeClaimTemplates") or ():
        claim.setdefault("apiVersion", "v1")
        claim.setdefault("kind", "PersistentVolumeClaim")
        claim.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")
        claim.setdefault("status", {}).setdefault("phase", "Pending")


def _check_stateful_set(body: Body) -> list[Cause]:
    spec = body.get("spec") or {}
    causes = check_counts(spec, "replicas", "minReadySeconds", "revisionHistoryLimit")
    causes += check_match(spec.get("selector"), template_labels(spec))
    policy = spec.get("podManagementPolicy", "OrderedReady")
    if policy not in _POD_MANAGEMENT:
        causes.append(names.unsupported("spec.podManagementPolicy", policy, _POD_MANAGEMENT))
    kind = (spec.get("updateStrategy") or {}).get("type", "RollingUpdate")
    if kind not in _UPDATE_STRATEGIES:
        causes.append(names.unsupported("spec.updateStrategy.type", kind, _UPDATE_STRATEGIES))
    return causes + check_template(spec)


def _default_daemon_set(body: Body) -> None:
    spec = body.setdefault("spec", {})
    spec.setdefault("revisionHistoryLimit", HISTORY)
    strategy = spec.setdefault("updateStrategy", {})
    if not strategy.get("type"):
        strategy["type"] = "RollingUpdate"
    if strategy["type"] == "RollingUpdate":
        rolling = strategy.get("rollingUpdate") or {}
        rolling.setdefault("maxUnavailable", 1)
        rolling.setdefault("maxSurge", 0)
        strategy["rollingUpdate"] = rolling
    default_template(spec)


def _check_daemon_set(body: Body) -> list[Cause]:
    spec = body.get("spec") or {}
    causes = check_counts(spec, "minReadySeconds", "revisionHistoryLimit")
    causes += check_match(spec.get("selector"), template_labels(spec))
    strategy = spec.get("updateStrategy") or {}
    causes += _check_rolling(strategy, "spec.updateStrategy", _UPDATE_STRATEGIES)
    return causes + check_template(spec)


def _same_selector(new: Body, old: Body) -> list[Cause]:
    after = (new.get("spec") or {}).get("selector")
    return immutable("spec.selector", after, after, (old.get("spec") or {}).get("selector"))


_STATEFUL_CHANGEABLE = frozenset(
    {
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    }
)


def _stateful_update(new: Body, old: Body) -> list[Cause]:
    after, before = new.get("spec") or {}, old.get("spec") or {}
    fixed = {*after, *before} - _STATEFUL_CHANGEABLE
    if all(after.get(field) == before.get(field) for field in fixed):
        return []
    detail = (
        "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
        "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and "
        "'minReadySeconds' are forbidden"
    )
    return [names.forbidden("spec", detail)]


def _strategy(
    default: Callable[[Body], None],
    check: Callable[[Body], list[Cause]],
    check_update: Callable[[Body, Body], list[Cause]] = _same_selector,
) -> Strategy:
    return Strategy(default, check, check_update)


DEPLOYMENT = _strategy(_default_deployment, _check_deployment)
REPLICA_SET = _strategy(_default_replica_set, _check_replica_set)
STATEFUL_SET = _strategy(_default_stateful_set, _check_stateful_set, _stateful_update)
DAEMON_SET = _strategy(_default_daemon_set, _check_daemon_set)
REPLICATION_CONTROLLER = Strategy(_default_replication_controller, _check_replication_controller)
