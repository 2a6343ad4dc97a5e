"""Rules of a Job's status: who reports on Jobs may not take back what was said."""

from collections.abc import Iterable

from pilothouse.services.apiserver.strategies.strategy import Body
from pilothouse.services.apiserver.strategies.workload.job_policies import count_indexes
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause

_COUNTS = ("active", "succeeded", "failed", "ready", "terminating")
_LASTING = ("Failed", "Complete", "FailureTarget", "SuccessCriteriaMet")
_CONDITIONS = "status.conditions"


def check_status(new: Body, old: Body) -> list[Cause]:
    """The counts, the indexes, and how the Job came to its end."""
    spec, status, before = new.get("spec") or {}, new.get("status") or {}, old.get("status") or {}
    causes: list[Cause] = []
    for field in _COUNTS:
        causes += names.check_least(status.get(field), f"status.{field}")
    causes += _uncounted(status.get("uncountedTerminatedPods") or {})
    causes += _verdict(status, before)
    if _finished(status):
        causes += _finish(status, before)
    causes += _times(status, before)
    causes += _indexes(spec, status, before)
    ready, active = status.get("ready") or 0, status.get("active") or 0
    if ready > active and _changed(status, before, "ready", "active"):
        causes.append(
            names.invalid("status.ready", ready, "cannot set more ready pods than active")
        )
    return causes + _takes_back(spec, status, before)


def _true(status: Body) -> set[str]:
    return {
        item.get("type", "")
        for item in status.get("conditions") or ()
        if item.get("status") == "True"
    }


def _finished(status: Body) -> bool:
    return not {"Complete", "Failed"}.isdisjoint(_true(status))


def _changed(status: Body, before: Body, *fields: str) -> bool:
    return any(status.get(field) != before.get(field) for field in fields)


def _conditions(detail: str) -> Cause:
    return Cause(_CONDITIONS, f"Invalid value: {detail}")


def _uncounted(uncounted: Body) -> list[Cause]:
    causes: list[Cause] = []
    seen: set[str] = set()
    for member in ("succeeded", "failed"):
        for index, uid in enumerate(uncounted.get(member) or ()):
            field = f"status.uncountedTerminatedPods.{member}[{index}]"
            if not uid:
                causes.append(names.invalid(field, uid, "must not be empty"))
            elif uid in seen:
                causes.append(names.duplicate(field, uid))
            seen.add(uid)
    return causes


def _verdict(status: Body, before: Body) -> list[Cause]:
    """What ends a Job is first said to be its aim, and it ends in one way only."""
    said = _true(status)
    if said == _true(before):
        return []
    causes = [
        _conditions(f"cannot set {one}=True and {other} conditions")
        for one, other, shown in _EXCLUSIVE
        if {one, shown} <= said
    ]
    if "Failed" in said and "FailureTarget" not in said:
        detail = "cannot set Failed=True condition without the FailureTarget=true condition"
        causes.append(_conditions(detail))
    if "Complete" in said and "SuccessCriteriaMet" not in said:
        detail = "cannot set Complete=True condition without the SuccessCriteriaMet=true condition"
        causes.append(_conditions(detail))
    return causes


_EXCLUSIVE = (
    ("Complete", "Failed=true", "Failed"),
    ("Complete", "FailureTarget=true", "FailureTarget"),
    ("SuccessCriteriaMet", "Failed=true", "Failed"),
    ("SuccessCriteriaMet", "FailureTarget=true", "FailureTarget"),
)


def _finish(status: Body, before: Body) -> list[Cause]:
    """Of a finished Job nothing runs any more."""
    came = not _finished(before)
    causes = []
    for field in ("active", "terminating"):
        if (count := status.get(field) or 0) > 0 and (came or _changed(status, before, field)):
            detail = f"{field}>0 is invalid for finished job"
            causes.append(names.invalid(f"status.{field}", count, detail))
    if status.get("startTime") is None and (came or _changed(status, before, "startTime")):
        causes.append(names.required("status.startTime", "startTime is required for finished job"))
    field = "uncountedTerminatedPods"
    left = status.get(field) or {}
    if any(left.values()) and (came or _changed(status, before, field)):
        detail = f"{field} needs to be empty for finished job"
        causes.append(names.invalid(f"status.{field}", left, detail))
    return causes


def _times(status: Body, before: Body) -> list[Cause]:
    causes = []
    field, done = "status.completionTime", status.get("completionTime")
    complete = "Complete" in _true(status)
    turned = complete != ("Complete" in _true(before))
    if turned or _changed(status, before, "completionTime"):
        if done is not None and not complete:
            detail = "cannot set completionTime when there is no Complete=True condition"
            causes.append(names.invalid(field, done, detail))
        if done is None and complete:
            causes.append(names.required(field, "completionTime is required for Complete jobs"))
    if _changed(status, before, "startTime", "completionTime"):
        start = status.get("startTime")
        if start is not None and done is not None and done < start:
            detail = "completionTime cannot be set before startTime"
            causes.append(names.invalid(field, done, detail))
    return causes


def _indexes(spec: Body, status: Body, before: Body) -> list[Cause]:
    """Which of an indexed Job have completed, and which failed for good."""
    completed, failed = status.get("completedIndexes") or "", status.get("failedIndexes")
    completions = spec.get("completions")
    causes: list[Cause] = []
    for field, text in (("completedIndexes", completed), ("failedIndexes", failed)):
        if completions is None or text is None or not _changed(status, before, field):
            continue
        try:
            count_indexes(text, completions)
        except ValueError as error:
            detail = f"error parsing {field}: {error}"
            causes.append(names.invalid(f"status.{field}", text, detail))
    indexed = spec.get("completionMode") == "Indexed"
    if completed and not indexed and _changed(status, before, "completedIndexes"):
        detail = "cannot set non-empty completedIndexes when non-indexed completion mode"
        causes.append(names.invalid("status.completedIndexes", completed, detail))
    limited = spec.get("backoffLimitPerIndex") is not None
    if failed is not None and not limited and _changed(status, before, "failedIndexes"):
        detail = "cannot set non-null failedIndexes when backoffLimitPerIndex is null"
        causes.append(names.invalid("status.failedIndexes", failed, detail))
    return causes


def _takes_back(spec: Body, status: Body, before: Body) -> list[Cause]:
    """Nothing final is undone, and counters go up."""
    causes = [
        _conditions(f"cannot disable the {_terminal(name)} condition")
        for name in _missing(_true(before), _true(status))
    ]
    # A Job of as many pods at once as in all may become one of fewer.
    elastic = spec.get("completionMode") == "Indexed" and (
        spec.get("completions") == spec.get("parallelism")
    )
    for field in ("failed",) if elastic else ("failed", "succeeded"):
        count = status.get(field) or 0
        if count < (before.get(field) or 0):
            detail = f"cannot decrease the {field} counter"
            causes.append(names.invalid(f"status.{field}", count, detail))
    done, was_done = status.get("completionTime"), before.get("completionTime")
    if done is not None and was_done is not None and done != was_done:
        detail = "completionTime cannot be mutated"
        causes.append(names.invalid("status.completionTime", done, detail))
    started = before.get("startTime")
    if started is not None and status.get("startTime") != started and not spec.get("suspend"):
        detail = "startTime cannot be removed for unsuspended job"
        causes.append(names.required("status.startTime", detail))
    return causes


def _missing(before: set[str], after: set[str]) -> Iterable[str]:
    return (name for name in _LASTING if name in before and name not in after)


def _terminal(name: str) -> str:
    return f"{name}=True" if name == "SuccessCriteriaMet" else f"terminal {name}=True"
