"""Pods: defaults and rules of the spec; after creation almost nothing of it may change."""

import re
from collections.abc import Iterable
from typing import Any

from pilothouse.services.apiserver.strategies.differences import differences
from pilothouse.services.apiserver.strategies.pod.placement import check_tolerations
from pilothouse.services.apiserver.strategies.pod.pod_defaults import default_pod
from pilothouse.services.apiserver.strategies.pod.pod_rules import SECONDS_MAX, check_spec
from pilothouse.services.apiserver.strategies.pod.pod_statuses import check_status
from pilothouse.services.apiserver.strategies.strategy import Body, Strategy
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause

_COST = "controller.kubernetes.io/pod-deletion-cost"
_NUMBER = re.compile(r"0|-[0-9]+|[1-9][0-9]*")
_FREE = frozenset({"activeDeadlineSeconds", "tolerations", "schedulingGates"})
_FORBIDDEN = (
    "pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only "
    "additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set "
    "to 1 if it was previously negative)"
)


def check(body: Body) -> list[Cause]:
    """The spec's rules."""
    name = (body.get("metadata") or {}).get("name", "")
    return check_spec(body.get("spec") or {}, pod_name=name, real=True)


def check_create(body: Body) -> list[Cause]:
    """What only a new pod may not have."""
    spec = body["spec"]
    causes = _deletion_cost(body, {})
    if spec.get("ephemeralContainers"):
        causes.append(names.forbidden("spec.ephemeralContainers", "cannot be set on create"))
    if spec.get("nodeName") and spec.get("schedulingGates"):
        detail = "cannot be set until all schedulingGates have been cleared"
        causes.append(names.forbidden("spec.nodeName", detail))
    return causes


def check_update(new: Body, old: Body) -> list[Cause]:
    """Images, tolerations (added), the deadline (lowered), gates (removed) and nothing else."""
    after, before = new.get("spec") or {}, old.get("spec") or {}
    if after == before:
        return _deletion_cost(new, old)
    for field in ("containers", "initContainers"):
        if len(after.get(field) or ()) != len(before.get(field) or ()):
            detail = "pod updates may not add or remove containers"
            return [names.forbidden(f"spec.{field}", detail)]
    causes = _deletion_cost(new, old) + _deadline(after, before)
    causes += _tolerations(after.get("tolerations") or [], before.get("tolerations") or [])
    causes += _gates(after.get("schedulingGates") or (), before.get("schedulingGates") or ())
    munged = _munged(after, before)
    if before.get("schedulingGates"):
        causes += _gated(munged, before)
    if munged != before:
        detail = f"{_FORBIDDEN}\n{differences(before, munged)}"
        causes.append(names.forbidden("spec", detail))
    return causes


def _deletion_cost(new: Body, old: Body) -> list[Cause]:
    """What the pod's loss costs is a number; one that was none before may stay."""
    before, after = (
        ((body.get("metadata") or {}).get("annotations") or {}).get(_COST) for body in (old, new)
    )
    if after is None or after == before:
        return []
    if _NUMBER.fullmatch(after) and -(2**31) <= int(after) < 2**31:
        return []
    return [names.invalid(f"metadata.annotations[{_COST}]", after, "must be a 32bit integer")]


def _munged(after: Body, before: Body) -> Body:
    """The new spec with the old values of what may change."""
    munged = {**after, **{field: before[field] for field in _FREE if field in before}}
    for field in _FREE - before.keys():
        munged.pop(field, None)
    for field in ("containers", "initContainers"):
        if field in munged:
            munged[field] = _with_images(munged[field], before[field])
    grace = before.get("terminationGracePeriodSeconds", 0)
    if grace < 0 and after.get("terminationGracePeriodSeconds") == 1:
        munged["terminationGracePeriodSeconds"] = grace
    return munged


def _deadline(after: Body, before: Body) -> list[Cause]:
    field = "spec.activeDeadlineSeconds"
    new, old = after.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds")
    if new == old:
        return []
    if new is None:
        return [names.invalid(field, None, "must not update from a positive integer to nil value")]
    if not 0 <= new <= SECONDS_MAX:
        return names.check_range(new, 0, SECONDS_MAX, field)
    if old is not None and old < new:
        return [names.invalid(field, new, "must be less than or equal to previous value")]
    return []


def _tolerations(after: list[Body], before: list[Body]) -> list[Cause]:
    kept = [_without_seconds(toleration) for toleration in after]
    if any(_without_seconds(toleration) not in kept for toleration in before):
        detail = "existing toleration can not be modified except its tolerationSeconds"
        return [names.forbidden("spec.tolerations", detail)]
    return check_tolerations(after, "spec.tolerations") if after != before else []


def _without_seconds(toleration: Body) -> Body:
    return {key: value for key, value in toleration.items() if key != "tolerationSeconds"}


def _gates(after: Iterable[Body], before: Iterable[Body]) -> list[Cause]:
    had = {gate.get("name") for gate in before}
    return [
        names.forbidden(
            f"spec.schedulingGates[{index}].name",
            f"only deletion is allowed, but found new scheduling gate '{gate.get('name')}'",
        )
        for index, gate in enumerate(after)
        if gate.get("name") not in had
    ]


def _with_images(containers: list[Body], before: list[Body]) -> list[Body]:
    return [
        {**container, "image": was.get("image", "")} if "image" in was else container
        for container, was in zip(containers, before, strict=True)
    ]


def _gated(munged: Body, before: Body) -> list[Cause]:
    """A pod that waits for its gates may become choosier about nodes."""
    causes = []
    new, old = munged.get("nodeSelector") or {}, before.get("nodeSelector") or {}
    if any(new.get(key) != value for key, value in old.items()):
        detail = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
        causes.append(names.invalid("spec.nodeSelector", new, detail))
    _take(munged, before, "nodeSelector")
    new_affinity, old_affinity = munged.get("affinity") or {}, before.get("affinity") or {}
    new_node, old_node = new_affinity.get("nodeAffinity"), old_affinity.get("nodeAffinity")
    if new_node != old_node:
        causes += _node_affinity(new_node or {}, old_node or {})
        rest = {key: item for key, item in new_affinity.items() if key != "nodeAffinity"}
        others = {key: item for key, item in old_affinity.items() if key != "nodeAffinity"}
        if rest == others:
            _take(munged, before, "affinity")
    return causes


def _node_affinity(new: Body, old: Body) -> list[Cause]:
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    field = f"spec.affinity.nodeAffinity.{required}.nodeSelectorTerms"
    before: list[Body] = (old.get(required) or {}).get("nodeSelectorTerms") or []
    after: list[Body] = (new.get(required) or {}).get("nodeSelectorTerms") or []
    if before and len(after) != len(before):
        detail = "no additions/deletions to non-empty NodeSelectorTerms list are allowed"
        return [names.invalid(field, after, detail)]
    return [
        names.invalid(f"{field}[{index}]", new_term, "only additions are allowed (no mutations or "
                      "deletions)")
        for index, (new_term, term) in enumerate(zip(after, before, strict=False))
        for member in ("matchExpressions", "matchFields")
        if (new_term.get(member) or [])[: len(term.get(member) or [])] != (term.get(member) or [])
    ]  # fmt: skip


def _take(document: Body, source: Body, field: str) -> None:
    value: Any = source.get(field)
    if value is None:
        document.pop(field, None)
    else:
        document[field] = value


STRATEGY = Strategy(
    default_pod, check, check_update, check_create=check_create, check_status=check_status
)
