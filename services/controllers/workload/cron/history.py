"""What a CronJob's status and its past say, given the Jobs that there are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from pilothouse.services.machinery.kinds import jobs
from pilothouse.services.machinery.kinds.jobs import CronJob, CronJobStatus, Job


@dataclass(frozen=True, slots=True)
class Note:
    """What people are told: ``warning`` or not, one CamelCase word, a sentence."""

    reason: str
    message: str
    warning: bool = False


TOO_MANY = Note(
    "TooManyMissedTimes",
    "too many missed start times."
    " Set or decrease .spec.startingDeadlineSeconds or check clock skew",
    warning=True,
)
STILL_ACTIVE = Note(
    "JobAlreadyActive",
    "Not starting job because prior execution is running and concurrency policy is Forbid",
)


def too_late(due: float) -> Note:
    said = datetime.fromtimestamp(due, UTC).strftime("%a, %d %b %Y %H:%M:%S +0000")
    return Note("MissSchedule", f"Missed scheduled time to start a job: {said}", warning=True)


def unknown_zone(cronjob: CronJob) -> Note:
    zone = cronjob.spec.time_zone
    text = f'invalid timeZone: "{zone}": unknown time zone {zone}'
    return Note("UnknownTimeZone", text, warning=True)


def unreadable(cronjob: CronJob, error: ValueError) -> Note:
    text = f'unparseable schedule: "{cronjob.spec.schedule}" : {error}'
    return Note("UnparseableSchedule", text, warning=True)


def invalid(cronjob: CronJob, error: ValueError) -> Note:
    text = f"invalid schedule: {cronjob.spec.schedule} : {error}"
    return Note("InvalidSchedule", text, warning=True)


def surplus(cronjob: CronJob, owned: Iterable[Job]) -> tuple[Job, ...]:
    """The oldest ended Jobs beyond what is to be kept."""
    ended: dict[str, list[Job]] = {jobs.COMPLETE: [], jobs.FAILED: []}
    for job in owned:
        end = jobs.finished(job)
        if end is not None and not job.metadata.deleting:
            ended[end.type].append(job)
    spec = cronjob.spec
    return (
        *_oldest(ended[jobs.COMPLETE], spec.successful_jobs_history_limit),
        *_oldest(ended[jobs.FAILED], spec.failed_jobs_history_limit),
    )


def _oldest(ended: Sequence[Job], kept: int | None) -> Sequence[Job]:
    if kept is None or len(ended) <= kept:
        return ()
    return sorted(ended, key=_age)[: len(ended) - kept]


def _age(job: Job) -> tuple[bool, str, str]:
    start = job.status.start_time
    return (start is None, start or "", job.metadata.name)


def status(cronjob: CronJob, owned: Sequence[Job]) -> tuple[CronJobStatus, tuple[Note, ...]]:
    """Without the Jobs that ended or are gone, and with the last success."""
    present = {job.metadata.uid: job for job in owned}
    known = {item.uid for item in cronjob.status.active}
    active, notes = [], []
    for item in cronjob.status.active:
        job = present.get(item.uid)
        end = jobs.finished(job) if job is not None else None
        if job is None:
            notes.append(Note("MissingJob", f"Active job went missing: {item.name}"))
        elif end is not None:
            text = f"Saw completed job: {item.name}, condition: {end.type}"
            notes.append(Note("SawCompletedJob", text))
        else:
            active.append(item)
    notes += [
        Note(
            "UnexpectedJob",
            f"Saw a job that the controller did not create or forgot: {job.metadata.name}",
            warning=True,
        )
        for job in owned
        if job.metadata.uid not in known
        and jobs.finished(job) is None
        and not job.metadata.deleting
    ]
    successes = [job.status.completion_time for job in owned if jobs.condition(job, jobs.COMPLETE)]
    last = cronjob.status.last_successful_time
    told = msgspec.structs.replace(
        cronjob.status,
        active=tuple(active),
        last_successful_time=max((one for one in (*successes, last) if one), default=None),
    )
    return told, tuple(notes)
