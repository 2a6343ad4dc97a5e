"""Jobs and CronJobs."""

from pilothouse.services.apiserver.strategies.strategy import Body, Strategy, immutable
from pilothouse.services.apiserver.strategies.workloads import (
    check_counts,
    check_template,
    default_template,
)
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause

BACKOFF_LIMIT = 6
SUCCESSFUL_KEPT = 3
FAILED_KEPT = 1
CONTROLLER_UID = "batch.kubernetes.io/controller-uid"
JOB_NAME = "batch.kubernetes.io/job-name"
_POLICIES = ("Never", "OnFailure")
_CONCURRENCY = ("Allow", "Forbid", "Replace")
_CRON_FIELDS = 5


def _default_spec(spec: Body) -> None:
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = spec["parallelism"] = 1
    spec.setdefault("parallelism", 1)
    spec.setdefault("completionMode", "NonIndexed")
    spec.setdefault("suspend", False)
    if spec.get("backoffLimitPerIndex") is None:
        spec.setdefault("backoffLimit", BACKOFF_LIMIT)
    else:
        spec.setdefault("backoffLimit", 2**31 - 1)
    replacement = "Failed" if spec.get("podFailurePolicy") else "TerminatingOrFailed"
    spec.setdefault("podReplacementPolicy", replacement)
    default_template(spec)


def _default_job(body: Body) -> None:
    """Besides plain defaults: a selector by the Job's own uid, which must have been given."""
    spec = body.setdefault("spec", {})
    _default_spec(spec)
    metadata = body.get("metadata") or {}
    uid = metadata.get("uid")
    if not uid or spec.get("manualSelector") or spec.get("selector"):
        return
    spec["selector"] = {"matchLabels": {CONTROLLER_UID: uid}}
    labels = spec["template"]["metadata"].setdefault("labels", {})
    name = metadata.get("name", "")
    labels.update({CONTROLLER_UID: uid, JOB_NAME: name, "controller-uid": uid, "job-name": name})


def _check_job(body: Body) -> list[Cause]:
    spec = body.get("spec") or {}
    causes = check_counts(
        spec, "parallelism", "completions", "backoffLimit", "ttlSecondsAfterFinished"
    )
    if spec.get("completionMode") == "Indexed" and spec.get("completions") is None:
        detail = "when completion mode is Indexed"
        causes.append(names.required("spec.completions", detail))
    return causes + check_template(spec, _POLICIES)


def _check_job_update(new: Body, old: Body) -> list[Cause]:
    after, before = new.get("spec") or {}, old.get("spec") or {}
    causes = []
    for field in ("selector", "completionMode", "podFailurePolicy", "backoffLimitPerIndex"):
        causes += immutable(f"spec.{field}", after.get(field), after.get(field), before.get(field))
    if after.get("completionMode") != "Indexed":
        value = after.get("completions")
        causes += immutable("spec.completions", value, value, before.get("completions"))
    suspended = before.get("suspend") and not (old.get("status") or {}).get("startTime")
    if not suspended and after.get("template") != before.get("template"):
        causes += [names.invalid("spec.template", after.get("template"), "field is immutable")]
    return causes


def _default_cron_job(body: Body) -> None:
    spec = body.setdefault("spec", {})
    spec.setdefault("concurrencyPolicy", "Allow")
    spec.setdefault("suspend", False)
    spec.setdefault("successfulJobsHistoryLimit", SUCCESSFUL_KEPT)
    spec.setdefault("failedJobsHistoryLimit", FAILED_KEPT)
    template = spec.setdefault("jobTemplate", {})
    template.setdefault("metadata", {})
    default_template(template.setdefault("spec", {}))


def _check_cron_job(body: Body) -> list[Cause]:
    spec = body.get("spec") or {}
    causes = check_counts(
        spec, "successfulJobsHistoryLimit", "failedJobsHistoryLimit", "startingDeadlineSeconds"
    )
    schedule = spec.get("schedule", "")
    if not schedule:
        causes.append(names.required("spec.schedule"))
    elif not schedule.startswith("@") and len(schedule.split()) != _CRON_FIELDS:
        detail = f"expected exactly {_CRON_FIELDS} fields, found {len(schedule.split())}"
        causes.append(names.invalid("spec.schedule", schedule, f"{detail}: {schedule}"))
    policy = spec.get("concurrencyPolicy", "Allow")
    if policy not in _CONCURRENCY:
        causes.append(names.unsupported("spec.concurrencyPolicy", policy, _CONCURRENCY))
    inner = check_template((spec.get("jobTemplate") or {}).get("spec") or {}, _POLICIES)
    causes += [
        Cause(
            cause.field.replace("spec.", "spec.jobTemplate.spec.", 1), cause.message, cause.reason
        )
        for cause in inner
    ]
    if len((body.get("metadata") or {}).get("name") or "") > names.LABEL_MAX - 11:
        detail = f"must be no more than {names.LABEL_MAX - 11} characters"
        causes.append(names.invalid("metadata.name", body["metadata"]["name"], detail))
    return causes


JOB = Strategy(_default_job, _check_job, _check_job_update)
CRON_JOB = Strategy(_default_cron_job, _check_cron_job)
