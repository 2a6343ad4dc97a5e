"""
Job: run pods until as many as asked for have succeeded, or too many have failed.

Reads   Job, Pod (its own, and those that nobody controls)
Writes  Pod (create, delete, its owner reference and finalizer), Job status
Again   when pods may be made after failures, and when ``spec.activeDeadlineSeconds`` are over

One step at a time: what a step changed comes back through the cache and asks for the next one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from pilothouse.services.controllers.workload.completion import (
    backoff,
    indexes,
    members,
    progress,
    sizes,
    tally,
    verdict,
)
from pilothouse.services.controllers.workload.completion.backoff import Backoff
from pilothouse.services.controllers.workload.completion.progress import Numbers
from pilothouse.services.controllers.workload.completion.sizes import Birth
from pilothouse.services.machinery.errors import ApiError
from pilothouse.services.machinery.kinds import jobs, pods
from pilothouse.services.machinery.kinds.jobs import Job, JobStatus
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import DONE, Result

UNSEEN_SECONDS_MAX = 5.0


@dataclass(frozen=True, slots=True)
class Plan:
    """In the order of the deeds. ``stop`` are deleted and counted, ``retire`` only deleted."""

    status: JobStatus
    backoff: Backoff = backoff.NONE
    adopt: tuple[Pod, ...] = ()
    release: tuple[Pod, ...] = ()
    stop: tuple[Pod, ...] = ()
    retire: tuple[Pod, ...] = ()
    create: tuple[Birth, ...] = ()
    fresh: tuple[Pod, ...] = ()
    untrack: tuple[Pod, ...] = ()
    again_after: float | None = None


def plan(job: Job, near: Sequence[Pod], history: Backoff, now: float) -> Plan:
    """``near`` are pods of the namespace that it controls or that nobody controls."""
    if jobs.finished(job) is not None or not jobs.is_ours(job):
        return Plan(job.status)
    claim = members.claimed(job, near)
    crew = members.members(job, claim)
    standing = indexes.indexes(job, crew) if jobs.is_indexed(job) else None
    history = backoff.after(history, crew.succeeded, crew.failed)
    end = verdict.verdict(job, crew, tally.failures(job, crew), standing, now)
    step, stop = sizes.NOTHING, crew.active
    if end is None:
        succeeded = tally.successes(job, crew, standing)
        stop = ()
        if not job.metadata.deleting:
            step = sizes.sizes(job, crew, standing, succeeded, history, now)
        if verdict.is_reached(job, succeeded, len(crew.active) + len(step.create)):
            end = verdict.REACHED
    count = tally.tally(job, crew, standing, end)
    gone = {pod.metadata.uid for pod in (*stop, *step.retire)}
    stays = [pod for pod in crew.active if pod.metadata.uid not in gone]
    numbers = Numbers(
        active=len(stays) + len(step.create),
        ready=sum(pods.is_ready(pod) for pod in stays),
        terminating=len(crew.terminating) + len(gone),
    )
    status = progress.status(job, numbers, count, end, now)
    left = None if end is not None else verdict.deadline_seconds_left(job, status, now)
    waits = [wait for wait in (step.again_after, left) if wait is not None]
    return Plan(
        status=status,
        backoff=history,
        adopt=claim.adopt,
        release=claim.release,
        stop=stop,
        retire=step.retire,
        create=step.create,
        fresh=count.fresh,
        untrack=count.untrack,
        again_after=min(waits, default=None),
    )


class Cluster(Protocol):
    """What this controller asks of the API."""

    def find(self, key: Key) -> Job | None: ...
    def pods_near(self, job: Job) -> Sequence[Pod]: ...
    def history(self, key: Key) -> Backoff: ...
    def now(self) -> float: ...
    def settled(self, key: Key) -> bool:
        """Whether our own last writes for ``key`` have come back to us."""

    async def staff(self, job: Job, todo: Plan) -> tuple[int, ApiError | None]:
        """Claim, delete and create pods: how many could not be created, and why."""

    async def record(self, job: Job, todo: Plan, status: JobStatus) -> None:
        """Write the status if it changed; then take the finalizers of ``todo.untrack``."""


class JobController:
    """Runs each Job to its end."""

    name = "job"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def reconcile(self, key: Key) -> Result:
        job = self._cluster.find(key)
        if job is None:
            return DONE
        if not self._cluster.settled(key):
            return Result.unseen(UNSEEN_SECONDS_MAX)
        near = self._cluster.pods_near(job)
        todo = plan(job, near, self._cluster.history(key), self._cluster.now())
        missing, failure = await self._cluster.staff(job, todo)
        status = msgspec.structs.replace(todo.status, active=todo.status.active - missing)
        await self._cluster.record(job, todo, status)
        if failure is not None:
            raise failure
        return Result(again_after=todo.again_after)
