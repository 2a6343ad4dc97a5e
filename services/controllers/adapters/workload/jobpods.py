"""The pods of Jobs as they are written: their bodies, and taking their finalizer."""

from collections.abc import Callable
from typing import Any

import msgspec

from pilothouse.services.controllers.adapters.world import Controller, World, controller
from pilothouse.services.controllers.workload.completion.sizes import Birth
from pilothouse.services.controllers.workload.untracking import UntrackingController
from pilothouse.services.machinery.errors import NotFound
from pilothouse.services.machinery.kinds import jobs
from pilothouse.services.machinery.kinds.jobs import Job, JobCondition, JobStatus, Uncounted
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.objects import Key, controller_of, owner_reference
from pilothouse.services.machinery.resources import JOBS, PODS
from pilothouse.services.runtime.client.objects import Objects
from pilothouse.services.runtime.control.queue import WorkQueue

ENVIRONMENT = "JOB_COMPLETION_INDEX"
PREFIX_LENGTH_MAX = 58
"""What is left of a pod's name before the random letters."""

_JOB = msgspec.json.Decoder(Job)


def bodies(job: Job) -> Callable[[Birth], dict[str, Any]]:
    """What makes the body of each new pod of ``job``."""
    plain = job.spec.template.spec
    indexed = _with_index(msgspec.json.decode(plain)) if jobs.is_indexed(job) else {}
    template = job.spec.template.metadata
    metadata: dict[str, Any] = {
        "generateName": f"{job.metadata.name}-",
        "namespace": job.metadata.namespace,
        "labels": template.labels,
        "ownerReferences": [owner_reference(JOBS, job.metadata)],
        "finalizers": list(dict.fromkeys((*template.finalizers, jobs.TRACKING))),
    }
    if template.annotations:
        metadata["annotations"] = template.annotations

    def body_of(birth: Birth) -> dict[str, Any]:
        head = {"apiVersion": "v1", "kind": "Pod"}
        if birth.index is None:
            return {**head, "metadata": metadata, "spec": plain}
        said = {jobs.INDEX: str(birth.index)}
        notes = {**template.annotations, **said}
        if birth.failures is not None:
            notes[jobs.INDEX_FAILURES] = str(birth.failures)
            if birth.failures_ignored:
                notes[jobs.INDEX_FAILURES_IGNORED] = str(birth.failures_ignored)
        own = {
            "generateName": _prefix(job.metadata.name, birth.index),
            "labels": {**template.labels, **said},
            "annotations": notes,
        }
        spec = {**indexed, "hostname": f"{job.metadata.name}-{birth.index}"}
        return {**head, "metadata": {**metadata, **own}, "spec": spec}

    return body_of


def _prefix(name: str, index: int) -> str:
    tail = f"-{index}-"
    return name[: PREFIX_LENGTH_MAX - len(tail)] + tail


def _with_index(spec: dict[str, Any]) -> dict[str, Any]:
    """Every container is told its index, unless it has a variable of that name."""
    source = {"fieldRef": {"fieldPath": f"metadata.labels['{jobs.INDEX}']"}}
    told = {"name": ENVIRONMENT, "valueFrom": source}
    for member in ("initContainers", "containers"):
        for container in spec.get(member) or ():
            environment = container.setdefault("env", [])
            if all(item.get("name") != ENVIRONMENT for item in environment):
                environment.append(told)
    return spec


def render_status(status: JobStatus) -> dict[str, Any]:
    """As the API spells it; what is nothing is null, so that it goes from the object."""
    left = status.uncounted_terminated_pods or Uncounted()
    uncounted = {"succeeded": list(left.succeeded) or None, "failed": list(left.failed) or None}
    return {
        "conditions": [_condition(item) for item in status.conditions] or None,
        "startTime": status.start_time,
        "completionTime": status.completion_time,
        "active": status.active or None,
        "ready": status.ready,
        "terminating": status.terminating,
        "succeeded": status.succeeded or None,
        "failed": status.failed or None,
        "completedIndexes": status.completed_indexes or None,
        "failedIndexes": status.failed_indexes,
        "uncountedTerminatedPods": uncounted,
    }


def _condition(said: JobCondition) -> dict[str, Any]:
    rendered: dict[str, Any] = msgspec.to_builtins(said)
    return {name: value for name, value in rendered.items() if value}


async def untrack(objects: Objects, pod: Pod) -> str | None:
    """Take the finalizer; the pod's JSON, None when it is gone."""
    patch = {
        "metadata": {
            "uid": pod.metadata.uid,
            "$deleteFromPrimitiveList/finalizers": [jobs.TRACKING],
        }
    }
    try:
        return await objects.patch(PODS, pod.metadata.key, patch, strategic=True)
    except NotFound:
        return None


class Strays:
    """What the untracking controller asks for."""

    def __init__(self, world: World) -> None:
        self._objects = world.objects
        self._pods = world.cache(PODS, Pod)

    def pod(self, key: Key) -> Pod | None:
        return self._pods.get(key)

    async def job(self, pod: Pod) -> Job | None:
        owner = controller_of(pod.metadata)
        if owner is None:
            return None
        try:
            answer = await self._objects.get(JOBS, Key(pod.metadata.namespace, owner.name))
        except NotFound:
            return None
        found = _JOB.decode(answer)
        return found if found.metadata.uid == owner.uid else None

    async def untrack(self, pod: Pod) -> None:
        await untrack(self._objects, pod)


def untracking(world: World) -> Controller:
    """The untracking controller, wired: it looks at tracked pods that no running Job has."""
    owners, found = world.cache(JOBS, Job), world.cache(PODS, Pod)
    queue: WorkQueue[Key] = WorkQueue()

    def pod_changed(_: Pod | None, new: Pod | None) -> None:
        if new is None or not jobs.is_tracked(new):
            return
        owner = controller_of(new.metadata)
        if owner is not None:
            known = owners.get(Key(new.metadata.namespace, owner.name))
            if known is not None and jobs.finished(known) is None:
                return
        queue.add(new.metadata.key)

    def job_changed(old: Job | None, new: Job | None) -> None:
        if old is not None and (new is None or jobs.finished(new) is not None):
            for pod in found.by_index("controller", old.metadata.uid):
                if jobs.is_tracked(pod):
                    queue.add(pod.metadata.key)

    found.on_change(pod_changed)
    owners.on_change(job_changed)
    return controller(UntrackingController(Strays(world)), queue, found)
