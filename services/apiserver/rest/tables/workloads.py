"""The columns of what makes pods: apps, batch, autoscaling and disruption budgets."""

from collections.abc import Mapping
from typing import Any

from pilothouse.services.apiserver.rest.tables import ages
from pilothouse.services.apiserver.rest.tables.column import (
    AGE,
    NAME,
    NONE,
    UNKNOWN,
    UNSET,
    Column,
    Document,
    at,
    field,
    number,
    pairs,
    pod_template_columns,
    selector,
    truth,
)
from pilothouse.services.machinery import timestamps

_COUNTED = (
    Column("Desired", number("spec.replicas"), type="integer"),
    Column("Current", number("status.replicas"), type="integer"),
    Column("Ready", number("status.readyReplicas"), type="integer"),
)


def _ready_of_desired(document: Document, now: float) -> str:
    del now
    return f"{at(document, 'status.readyReplicas') or 0}/{at(document, 'spec.replicas') or 0}"


REPLICATION_CONTROLLERS = (
    NAME, *_COUNTED, AGE, *pod_template_columns("spec.template", pairs("spec.selector")),
)  # fmt: skip

REPLICA_SETS = (
    NAME, *_COUNTED, AGE, *pod_template_columns("spec.template", selector("spec.selector")),
)  # fmt: skip

DEPLOYMENTS = (
    NAME,
    Column("Ready", _ready_of_desired),
    Column("Up-to-date", number("status.updatedReplicas"), type="integer"),
    Column("Available", number("status.availableReplicas"), type="integer"),
    AGE,
    *pod_template_columns("spec.template", selector("spec.selector")),
)

STATEFUL_SETS = (
    NAME,
    Column("Ready", _ready_of_desired),
    AGE,
    *pod_template_columns("spec.template", None),
)

DAEMON_SETS = (
    NAME,
    Column("Desired", number("status.desiredNumberScheduled"), type="integer"),
    Column("Current", number("status.currentNumberScheduled"), type="integer"),
    Column("Ready", number("status.numberReady"), type="integer"),
    Column("Up-to-date", number("status.updatedNumberScheduled"), type="integer"),
    Column("Available", number("status.numberAvailable"), type="integer"),
    Column("Node Selector", pairs("spec.template.spec.nodeSelector")),
    AGE,
    *pod_template_columns("spec.template", selector("spec.selector")),
)


def _controller(document: Document, now: float) -> str:
    del now
    owners = at(document, "metadata.ownerReferences") or ()
    for owner in owners:
        if owner.get("controller"):
            group = owner.get("apiVersion", "").rpartition("/")[0]
            kind = owner.get("kind", "").lower()
            return f"{kind}.{group}/{owner.get('name')}" if group else f"{kind}/{owner.get('name')}"
    return NONE


CONTROLLER_REVISIONS = (
    NAME,
    Column("Controller", _controller),
    Column("Revision", number("revision"), type="integer"),
    AGE,
)

POD_TEMPLATES = (
    NAME,
    *(Column(column.name, column.cell) for column in pod_template_columns("template", None)),
    Column("Pod Labels", pairs("template.metadata.labels")),
)

# The condition that is shown, first match first.
_JOB_STATES = (
    ("Complete", "Complete"), ("Failed", "Failed"), ("Suspended", "Suspended"),
    ("FailureTarget", "FailureTarget"), ("SuccessCriteriaMet", "SuccessCriteriaMet"),
)  # fmt: skip


def _job_status(job: Document, now: float) -> str:
    del now
    conditions = at(job, "status.conditions") or ()
    held = {item.get("type") for item in conditions if item.get("status") == "True"}
    for condition, shown in _JOB_STATES:
        if condition in held:
            return shown
    return "Terminating" if at(job, "metadata.deletionTimestamp") else "Running"


def _job_completions(job: Document, now: float) -> str:
    del now
    succeeded = at(job, "status.succeeded") or 0
    wanted = at(job, "spec.completions")
    if wanted is not None:
        return f"{succeeded}/{wanted}"
    parallelism = at(job, "spec.parallelism") or 0
    return f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"


def _job_duration(job: Document, now: float) -> str:
    started, ended = at(job, "status.startTime"), at(job, "status.completionTime")
    if not started:
        return ""
    return ages.human((timestamps.parse(ended) if ended else now) - timestamps.parse(started))


JOBS = (
    NAME,
    Column("Status", _job_status),
    Column("Completions", _job_completions),
    Column("Duration", _job_duration),
    AGE,
    *pod_template_columns("spec.template", selector("spec.selector")),
)


def _last_schedule(job: Document, now: float) -> str:
    last = at(job, "status.lastScheduleTime")
    return ages.since(last, now) if last else NONE


CRON_JOBS = (
    NAME,
    Column("Schedule", field("spec.schedule")),
    Column("Timezone", field("spec.timeZone", NONE)),
    Column("Suspend", truth("spec.suspend")),
    Column("Active", lambda job, now: len(at(job, "status.active") or ()), type="integer"),
    Column("Last Schedule", _last_schedule),
    AGE,
    *pod_template_columns(
        "spec.jobTemplate.spec.template", selector("spec.jobTemplate.spec.selector")
    ),
)


def _least(scaler: Document, now: float) -> str:
    del now
    least = at(scaler, "spec.minReplicas")
    return UNSET if least is None else str(least)


def _scale_reference(scaler: Document, now: float) -> str:
    del now
    reference = at(scaler, "spec.scaleTargetRef") or {}
    return f"{reference.get('kind', '')}/{reference.get('name', '')}"


def _metric_value(value: Mapping[str, Any] | None) -> str:
    if not value:
        return UNKNOWN
    if value.get("averageUtilization") is not None:
        return f"{value['averageUtilization']}%"
    return str(value.get("averageValue") or value.get("value") or UNKNOWN)


def _metric_source(metric: Document, kind: str) -> Mapping[str, Any]:
    source: Mapping[str, Any] = metric.get(kind[:1].lower() + kind[1:]) or {}
    return source


_OF_RESOURCES = ("Resource", "ContainerResource")
_OF_ONE = ("External", "Object")


def _targets(scaler: Document, now: float) -> str:
    del now
    if at(scaler, "spec.targetCPUUtilizationPercentage") is not None:
        current = at(scaler, "status.currentCPUUtilizationPercentage")
        shown = UNKNOWN if current is None else f"{current}%"
        return f"cpu: {shown}/{at(scaler, 'spec.targetCPUUtilizationPercentage')}%"
    current = at(scaler, "status.currentMetrics") or ()
    terms = []
    for index, metric in enumerate(at(scaler, "spec.metrics") or ()):
        kind = metric.get("type", "")
        source = _metric_source(metric, kind)
        name = source.get("name") or at(source, "metric.name") or ""
        found = _metric_source(current[index], kind) if index < len(current) else {}
        wanted = source.get("target") or {}
        value = f"{_metric_value(found.get('current'))}/{_metric_value(wanted)}"
        if kind in _OF_RESOURCES:
            value = f"{name}: {value}"
        elif kind in _OF_ONE and wanted.get("averageValue") is not None:
            value = f"{value} (avg)"
        terms.append(value)
    if not terms:
        return NONE
    return ", ".join(terms[:2]) + (f" + {len(terms) - 2} more..." if len(terms) > 2 else "")  # noqa: PLR2004 - two fit


HORIZONTAL_POD_AUTOSCALERS = (
    NAME,
    Column("Reference", _scale_reference),
    Column("Targets", _targets),
    Column("MinPods", _least),
    Column("MaxPods", number("spec.maxReplicas"), type="integer"),
    Column("Replicas", number("status.currentReplicas"), type="integer"),
    AGE,
)


def _budget(path: str) -> Column:
    name = "Min Available" if path == "spec.minAvailable" else "Max Unavailable"

    def cell(budget: Document, now: float) -> str:
        del now
        value = at(budget, path)
        return "N/A" if value is None else str(value)

    return Column(name, cell)


POD_DISRUPTION_BUDGETS = (
    NAME,
    _budget("spec.minAvailable"),
    _budget("spec.maxUnavailable"),
    Column("Allowed Disruptions", number("status.disruptionsAllowed"), type="integer"),
    AGE,
)

SCALES = (
    NAME,
    Column("Desired", number("spec.replicas"), type="integer"),
    Column("Available", number("status.replicas"), type="integer"),
    AGE,
)
