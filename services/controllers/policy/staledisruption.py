"""
Stale disruptions: a pod that was to go, and did not, is no target of a disruption any more.

Reads   Pod (those that somebody marked as going)
Writes  Pod status (condition DisruptionTarget)
Again   when a mark is two minutes old

A Job's rules may look at the mark once the pod has failed: it must not fail for something else
much later and be taken for disrupted.
"""

from typing import Protocol

from pilothouse.services.machinery import conditions, timestamps
from pilothouse.services.machinery.kinds import pods
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import DONE, Result

MARK = "DisruptionTarget"
BY_KUBELET = "TerminationByKubelet"
"""A node may take its time before it deletes a pod that it has marked."""
STALE_SECONDS = 120.0


def seconds_left(pod: Pod, now: float) -> float | None:
    """Until its mark goes; 0 or less is now, None is never."""
    said = conditions.find(pod.status.conditions, MARK)
    if said is None or said.status != "True" or said.reason == BY_KUBELET:
        return None
    if pod.metadata.deleting or pods.is_terminal(pod):
        return None
    since = timestamps.parse(said.last_transition_time) if said.last_transition_time else 0.0
    return since + STALE_SECONDS - now


class Cluster(Protocol):
    """What this controller asks of the API; keys are of pods."""

    def pod(self, key: Key) -> Pod | None: ...
    def now(self) -> float: ...
    async def unmark(self, pod: Pod) -> None:
        """Unless it changed in between: Conflict."""


class StaleDisruptionController:
    """Takes back what was said of pods that stayed."""

    name = "stale-pod-disruption"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def reconcile(self, key: Key) -> Result:
        pod = self._cluster.pod(key)
        left = seconds_left(pod, self._cluster.now()) if pod is not None else None
        if pod is None or left is None:
            return DONE
        if left > 0:
            return Result(again_after=left)
        await self._cluster.unmark(pod)
        return DONE
