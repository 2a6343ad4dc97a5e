"""CronJobs."""

from pilothouse.services.apiserver.strategies.strategy import Body, Strategy
from pilothouse.services.apiserver.strategies.workload.batch import check_job_spec
from pilothouse.services.apiserver.strategies.workload.workloads import (
    check_counts,
    default_template,
)
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause
from pilothouse.services.machinery.kinds import schedules

SUCCESSFUL_KEPT = 3
FAILED_KEPT = 1
NAME_MAX = names.LABEL_MAX - 11
"""Its Jobs are named after it and the minute."""

_CONCURRENCY = ("Allow", "Forbid", "Replace")


def _default(body: Body) -> None:
    spec = body.setdefault("spec", {})
    if not spec.get("concurrencyPolicy"):
        spec["concurrencyPolicy"] = "Allow"
    spec.setdefault("suspend", False)
    spec.setdefault("successfulJobsHistoryLimit", SUCCESSFUL_KEPT)
    spec.setdefault("failedJobsHistoryLimit", FAILED_KEPT)
    template = spec.setdefault("jobTemplate", {})
    template.setdefault("metadata", {})
    inner = template.setdefault("spec", {})
    default_template(inner)


def _check(body: Body) -> list[Cause]:
    spec = body.get("spec") or {}
    causes = _check_schedule(spec)
    causes += check_counts(spec, "startingDeadlineSeconds")
    zone = spec.get("timeZone")
    if zone is not None and (wrong := _zone(zone)):
        causes.append(names.invalid("spec.timeZone", zone, wrong))
    policy = spec.get("concurrencyPolicy", "Allow")
    if policy not in _CONCURRENCY:
        causes.append(names.unsupported("spec.concurrencyPolicy", policy, _CONCURRENCY))
    path = "spec.jobTemplate.spec"
    inner = (spec.get("jobTemplate") or {}).get("spec") or {}
    causes += check_job_spec(inner, path)
    if inner.get("selector") is not None:
        detail = "`selector` will be auto-generated"
        causes.append(names.invalid(f"{path}.selector", inner["selector"], detail))
    if inner.get("manualSelector"):
        causes.append(names.unsupported(f"{path}.manualSelector", True, ("nil", "false")))
    return causes + check_counts(spec, "successfulJobsHistoryLimit", "failedJobsHistoryLimit")


def _check_create(body: Body) -> list[Cause]:
    name = (body.get("metadata") or {}).get("name") or ""
    if len(name) <= NAME_MAX:
        return []
    return [names.invalid("metadata.name", name, f"must be no more than {NAME_MAX} characters")]


def _check_schedule(spec: Body) -> list[Cause]:
    text = spec.get("schedule", "")
    causes = []
    if not text:
        causes.append(names.required("spec.schedule"))
    elif "TZ" in text:
        detail = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        causes.append(names.invalid("spec.schedule", text, detail))
    else:
        try:
            schedules.parse(text)
        except ValueError as error:
            causes.append(names.invalid("spec.schedule", text, str(error)))
    return causes


def _zone(name: str) -> str:
    if not name:
        return "timeZone must be nil or non-empty string"
    if name.lower() == "local":
        return (
            "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        )
    import zoneinfo  # noqa: PLC0415 - few name one, and it brings how Python was built

    try:
        zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        return f"unknown time zone {name}"
    return ""


CRON_JOB = Strategy(_default, _check, check_create=_check_create)
