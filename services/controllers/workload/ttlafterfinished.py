"""
TTL after finished: delete a Job that ended ``spec.ttlSecondsAfterFinished`` ago.

Reads   Job
Writes  Job (delete, its pods first)
Again   when its time is over
"""

from typing import Protocol

from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.kinds import jobs
from pilothouse.services.machinery.kinds.jobs import Job
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import DONE, Result


def seconds_left(job: Job, now: float) -> float | None:
    """Until it goes; 0 or less is now, None is never."""
    end, kept = jobs.finished(job), job.spec.ttl_seconds_after_finished
    if end is None or kept is None or job.metadata.deleting or not end.last_transition_time:
        return None
    return timestamps.parse(end.last_transition_time) + kept - now


class Cluster(Protocol):
    """What this controller asks of the API."""

    def find(self, key: Key) -> Job | None: ...
    async def present(self, key: Key) -> Job | None:
        """As it is now: somebody may have asked for it to be kept longer."""

    def now(self) -> float: ...
    async def delete(self, job: Job) -> None: ...


class TTLController:
    """Clears Jobs away."""

    name = "ttl-after-finished"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def reconcile(self, key: Key) -> Result:
        job = self._cluster.find(key)
        left = seconds_left(job, self._cluster.now()) if job is not None else None
        if left is not None and left <= 0:
            job = await self._cluster.present(key)
            left = seconds_left(job, self._cluster.now()) if job is not None else None
        if job is None or left is None:
            return DONE
        if left > 0:
            return Result(again_after=left)
        await self._cluster.delete(job)
        return DONE
