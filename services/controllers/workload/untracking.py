"""
Untracking: a pod that no Job is going to count keeps no finalizer of one.

Reads   Pod (those with the finalizer), Job (the one that owns the pod)
Writes  Pod (its finalizers)
Again   never: whatever matters is a change

Such pods come from a Job that is gone or has ended, and from releasing them by hand.
"""

from typing import Protocol

from pilothouse.services.machinery.kinds import jobs
from pilothouse.services.machinery.kinds.jobs import Job
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.objects import Key, controller_of
from pilothouse.services.machinery.resources import JOBS
from pilothouse.services.runtime.control.loop import DONE, Result


def may_be_stray(pod: Pod) -> bool:
    """Whether it is for us to look: others than Jobs may use the finalizer as they like."""
    owner = controller_of(pod.metadata)
    ours = owner is None or (owner.kind, owner.api_version) == (JOBS.kind, JOBS.api_version)
    return jobs.is_tracked(pod) and ours


def plan(pod: Pod, job: Job | None) -> bool:
    """Whether the finalizer goes; ``job`` controls the pod, None when there is none."""
    if not may_be_stray(pod):
        return False
    return job is None or (jobs.is_ours(job) and jobs.finished(job) is not None)


class Cluster(Protocol):
    """What this controller asks of the API; keys are of pods."""

    def pod(self, key: Key) -> Pod | None: ...
    async def job(self, pod: Pod) -> Job | None:
        """The Job that controls it, as it is now and not as a cache shows it."""

    async def untrack(self, pod: Pod) -> None: ...


class UntrackingController:
    """Frees pods of a finalizer that nobody would take."""

    name = "job-untracking"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def reconcile(self, key: Key) -> Result:
        pod = self._cluster.pod(key)
        if pod is None or not may_be_stray(pod):
            return DONE
        if plan(pod, await self._cluster.job(pod)):
            await self._cluster.untrack(pod)
        return DONE
