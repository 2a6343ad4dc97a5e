"""The pods of a Job: which are its own, which run, which ended and are not counted yet."""

from collections.abc import Iterable
from dataclasses import dataclass

from pilothouse.services.machinery import conditions, labels, timestamps
from pilothouse.services.machinery.kinds import jobs, pods
from pilothouse.services.machinery.kinds.jobs import Job
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.objects import controller_of

COUNT_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Claim:
    """``owned`` by name; ``adopt`` are among them, ``release`` are not."""

    owned: tuple[Pod, ...]
    adopt: tuple[Pod, ...]
    release: tuple[Pod, ...]


def claimed(job: Job, near: Iterable[Pod]) -> Claim:
    """Pods that ended or are going are owned as well: they are to be counted."""
    selector = labels.compile_selector(job.spec.selector)
    owned: list[Pod] = []
    adopt: list[Pod] = []
    release: list[Pod] = []
    for pod in near:
        matches = selector is not None and selector.matches(pod.metadata.labels)
        owner = controller_of(pod.metadata)
        if owner is not None and owner.uid == job.metadata.uid:
            if matches:
                owned.append(pod)
            elif not job.metadata.deleting:
                release.append(pod)
        elif owner is None and matches and not job.metadata.deleting and not pod.metadata.deleting:
            owned.append(pod)
            adopt.append(pod)
    owned.sort(key=lambda pod: pod.metadata.name)
    return Claim(tuple(owned), tuple(adopt), tuple(release))


@dataclass(frozen=True, slots=True)
class Members:
    """A Job's pods, sorted once for all who decide.

    ``tracked`` still have the finalizer (an adopted one gets it); ``succeeded`` and ``failed``
    are the tracked ones that ended, that the status does not name yet and whose index counts.
    """

    pods: tuple[Pod, ...]
    active: tuple[Pod, ...]
    terminating: tuple[Pod, ...]
    tracked: tuple[Pod, ...]
    succeeded: tuple[Pod, ...]
    failed: tuple[Pod, ...]


def members(job: Job, claim: Claim) -> Members:
    """Sort the pods of ``claim``."""
    known = job.status.uncounted_terminated_pods or jobs.Uncounted()
    adopted = {pod.metadata.uid for pod in claim.adopt}
    tracked = tuple(
        pod for pod in claim.owned if jobs.is_tracked(pod) or pod.metadata.uid in adopted
    )
    counting = [pod for pod in tracked if counts(job, pod)]
    return Members(
        pods=claim.owned,
        active=tuple(pod for pod in claim.owned if pods.is_active(pod)),
        terminating=tuple(
            pod for pod in claim.owned if pod.metadata.deleting and not pods.is_terminal(pod)
        ),
        tracked=tracked,
        succeeded=tuple(
            pod for pod in counting if has_won(job, pod) and pod.metadata.uid not in known.succeeded
        ),
        failed=tuple(
            pod for pod in counting if is_failed(job, pod) and pod.metadata.uid not in known.failed
        ),
    )


def has_won(job: Job, pod: Pod) -> bool:
    """Whether it succeeded; not one that was taken for failed when it was asked to go."""
    known = job.status.uncounted_terminated_pods or jobs.Uncounted()
    return pod.status.phase == "Succeeded" and pod.metadata.uid not in known.failed


def is_failed(job: Job, pod: Pod) -> bool:
    """Whether it failed; unless only failed ones are replaced, going without success is failing."""
    if pod.status.phase == "Failed":
        return True
    if jobs.replaces_failed_only(job):
        return False
    return pod.metadata.deleting and pod.status.phase != "Succeeded"


def counts(job: Job, pod: Pod) -> bool:
    """Whether what becomes of it matters: in an indexed Job only with an index of the Job's."""
    if not jobs.is_indexed(job):
        return True
    index = index_of(pod)
    return index is not None and index < (job.spec.completions or 0)


def index_of(pod: Pod) -> int | None:
    text = pod.metadata.annotations.get(jobs.INDEX, "")
    return int(text) if text.isdecimal() else None


def failures_of(pod: Pod) -> int:
    """How often its index had failed when it was made, as far as that counts."""
    return _count(pod, jobs.INDEX_FAILURES)


def ignored_failures_of(pod: Pod) -> int:
    """How often its index had failed without that counting."""
    return _count(pod, jobs.INDEX_FAILURES_IGNORED)


def _count(pod: Pod, annotation: str) -> int:
    text = pod.metadata.annotations.get(annotation, "")
    number = int(text) if text.isdecimal() else 0
    return number if number <= COUNT_MAX else 0


def ended_at(pod: Pod) -> float:
    """When it ended, in seconds since the epoch; the best that its status tells."""
    ends = [
        status.state.terminated.finished_at if status.state.terminated is not None else None
        for status in pod.status.container_statuses
    ]
    told = [timestamps.parse(end) for end in ends if end]
    if told and len(told) == len(ends):
        return max(told)
    ready = conditions.find(pod.status.conditions, "Ready")
    if ready is not None and ready.status == "False" and ready.last_transition_time:
        return timestamps.parse(ready.last_transition_time)
    if pod.metadata.deletion_timestamp is not None:
        grace = pod.metadata.deletion_grace_period_seconds or 0
        return timestamps.parse(pod.metadata.deletion_timestamp) - grace
    created = pod.metadata.creation_timestamp
    return timestamps.parse(created) if created else 0.0
