"""StatefulSets and the ControllerRevisions that remember their templates."""

from pilothouse.services.apiserver.strategies.selectors import check_match
from pilothouse.services.apiserver.strategies.strategy import Body, Strategy, immutable
from pilothouse.services.apiserver.strategies.workload.workloads import (
    HISTORY,
    check_counts,
    check_restarts,
    check_share,
    check_statuses,
    check_whole,
    default_rolling,
    default_template,
    is_zero,
    template_labels,
)
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause

_POD_MANAGEMENT = ("OrderedReady", "Parallel")
_RETENTION = ("Retain", "Delete")
_CHANGEABLE = frozenset(
    {
        "replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy", "minReadySeconds",
    }
)  # fmt: skip
_FORBIDDEN = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
    "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and "
    "'minReadySeconds' are forbidden"
)


def _default(body: Body) -> None:
    spec = body.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    spec.setdefault("revisionHistoryLimit", HISTORY)
    if not spec.get("podManagementPolicy"):
        spec["podManagementPolicy"] = "OrderedReady"
    default_rolling(spec.setdefault("updateStrategy", {}), partition=0, maxUnavailable=1)
    retention = spec.setdefault("persistentVolumeClaimRetentionPolicy", {})
    for field in ("whenDeleted", "whenScaled"):
        if not retention.get(field):
            retention[field] = "Retain"
    default_template(spec)
    for claim in spec.get("volumeClaimTemplates") or ():
        claim.setdefault("apiVersion", "v1")
        claim.setdefault("kind", "PersistentVolumeClaim")
        claim.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")
        claim.setdefault("status", {}).setdefault("phase", "Pending")


def _check(body: Body) -> list[Cause]:
    spec = body.get("spec") or {}
    causes: list[Cause] = []
    policy = spec.get("podManagementPolicy", "OrderedReady")
    if policy not in _POD_MANAGEMENT:
        detail = "must be 'OrderedReady' or 'Parallel'"
        causes.append(names.invalid("spec.podManagementPolicy", policy, detail))
    causes += _check_strategy(spec.get("updateStrategy") or {}, "spec.updateStrategy")
    path = "spec.persistentVolumeClaimRetentionPolicy"
    retention = spec.get("persistentVolumeClaimRetentionPolicy") or {}
    causes += [
        names.unsupported(f"{path}.{field}", retention[field], _RETENTION)
        for field in ("whenDeleted", "whenScaled")
        if field in retention and retention[field] not in _RETENTION
    ]
    causes += check_counts(spec, "replicas", "minReadySeconds")
    start = (spec.get("ordinals") or {}).get("start")
    causes += names.check_least(start, "spec.ordinals.start")
    causes += check_match(spec.get("selector"), template_labels(spec), "statefulset")
    template = spec.get("template") or {}
    metadata = template.get("metadata") or {}
    causes += names.check_labels(metadata.get("labels") or {}, "spec.template.labels")
    annotations = metadata.get("annotations") or {}
    causes += names.check_annotations(annotations, "spec.template.annotations")
    # The pod's spec is not looked at: its mounts may mean claims that are made with each pod.
    return causes + check_restarts(spec, "StatefulSet")


def _check_strategy(strategy: Body, path: str) -> list[Cause]:
    kind, rolling = strategy.get("type", "RollingUpdate"), strategy.get("rollingUpdate")
    if kind == "OnDelete":
        if rolling is None:
            return []
        detail = "only allowed for updateStrategy 'RollingUpdate'"
        return [names.invalid(f"{path}.rollingUpdate", rolling, detail)]
    if kind != "RollingUpdate":
        return [names.invalid(path, strategy, "must be 'RollingUpdate' or 'OnDelete'")]
    where = f"{path}.rollingUpdate"
    causes = names.check_least((rolling or {}).get("partition"), f"{where}.partition")
    gone = (rolling or {}).get("maxUnavailable")
    if gone is not None:
        causes += check_share(gone, f"{where}.maxUnavailable")
        if is_zero(gone):
            causes.append(names.invalid(f"{where}.maxUnavailable", gone, "cannot be 0"))
        causes += check_whole(gone, f"{where}.maxUnavailable")
    return causes


def _check_update(new: Body, old: Body) -> list[Cause]:
    after, before = new.get("spec") or {}, old.get("spec") or {}
    fixed = {*after, *before} - _CHANGEABLE
    if all(after.get(field) == before.get(field) for field in fixed):
        return []
    return [names.forbidden("spec", _FORBIDDEN)]


def _check_revision(body: Body) -> list[Cause]:
    causes = names.check_least(body.get("revision"), "revision")
    if body.get("data") is None:
        causes.append(names.required("data", "data is mandatory"))
    return causes


def _check_revision_update(new: Body, old: Body) -> list[Cause]:
    return immutable("data", new.get("data"), new.get("data"), old.get("data"))


STATEFUL_SET = Strategy(
    _default,
    _check,
    _check_update,
    name=names.label,
    check_status=check_statuses(
        "readyReplicas",
        "currentReplicas",
        "updatedReplicas",
        "availableReplicas",
        ready="status.readyReplicas",
    ),
)
CONTROLLER_REVISION = Strategy(check=_check_revision, check_update=_check_revision_update)
