"""Jobs and their pods, and the writes to both."""

from collections.abc import Sequence
from dataclasses import replace

import msgspec

from pilothouse.services.controllers.adapters import indexes, ownership, wiring
from pilothouse.services.controllers.adapters.removal import remove
from pilothouse.services.controllers.adapters.workload import jobpods
from pilothouse.services.controllers.adapters.workload.doubts import Doubts
from pilothouse.services.controllers.adapters.workload.jobmeasures import JobMeasures, Timed
from pilothouse.services.controllers.adapters.world import (
    Controller,
    World,
    controller,
    reference,
)
from pilothouse.services.controllers.workload.completion import backoff
from pilothouse.services.controllers.workload.completion.backoff import Backoff
from pilothouse.services.controllers.workload.completion.sizes import Birth
from pilothouse.services.controllers.workload.job import JobController, Plan
from pilothouse.services.machinery import labels, timestamps
from pilothouse.services.machinery.errors import ApiError, Conflict, NotFound
from pilothouse.services.machinery.kinds import jobs, namespaces
from pilothouse.services.machinery.kinds.jobs import Job, JobStatus, Uncounted
from pilothouse.services.machinery.kinds.namespaces import Namespace
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.labels import Selector
from pilothouse.services.machinery.objects import Key, Object, controller_of
from pilothouse.services.machinery.resources import JOBS, NAMESPACES, PODS
from pilothouse.services.runtime.client.cache import Cache
from pilothouse.services.runtime.control import batches
from pilothouse.services.runtime.control.queue import WorkQueue
from pilothouse.services.runtime.control.settled import Settled

TOGETHER_SECONDS = 0.1
"""Pods of a Job tend to change together; one look is enough for all of them."""

_OBJECT = msgspec.json.Decoder(Object)


class Jobs:
    """What the Job controller asks for."""

    def __init__(self, world: World, owners: Cache[Job], found: Cache[Pod]) -> None:
        self.measures = JobMeasures()
        self._objects = world.objects
        self._clock = world.clock
        self._jobs = owners
        self._pods = found
        self._namespaces = world.cache(NAMESPACES, Namespace)
        self._written = Settled(owners)
        self._settled = Settled(found)
        self._doubts = Doubts(world, self._settled, found)
        self._histories: dict[Key, Backoff] = {}
        self._recorder = world.recorder("job-controller")

    def find(self, key: Key) -> Job | None:
        job = self._jobs.get(key)
        if job is None or jobs.finished(job) is not None:
            self._histories.pop(key, None)
        if job is None:
            self._settled.forget(key)
            self._written.forget(key)
            return None
        namespace = self._namespaces.get(Key("", key.namespace))
        if namespace is not None and not namespaces.is_active(namespace):
            # Its pods go first, and none comes in their place: it lets them go as if it went.
            return _leaving(job)
        return job

    def pods_near(self, job: Job) -> Sequence[Pod]:
        free = indexes.free(job.metadata.namespace)
        return [
            *self._pods.by_index(indexes.CONTROLLER, job.metadata.uid),
            *self._pods.by_index(indexes.CONTROLLER, free),
        ]

    def history(self, key: Key) -> Backoff:
        return self._histories.get(key, backoff.NONE)

    def now(self) -> float:
        return self._clock.now()

    def settled(self, key: Key) -> bool:
        return self._written.is_settled(key) and self._settled.is_settled(key)

    async def staff(self, job: Job, todo: Plan) -> tuple[int, ApiError | None]:
        self.measures.acting(job.metadata.key, todo)
        await self._claim(job, todo)

        async def stop(pod: Pod) -> None:
            await self._delete(job, pod)

        async def retire(pod: Pod) -> None:
            await self._untrack(job, pod)
            await self._delete(job, pod)

        async with self._doubts.settling(job.metadata):
            each = batches.each
            failure = await each(todo.stop, stop) or await each(todo.retire, retire)
            if failure is not None:
                raise failure
            missing, failure = await self._create(job, todo.create)
        if todo.create:
            self.measures.created(job, todo, missing)
        return missing, failure

    async def record(self, job: Job, todo: Plan, status: JobStatus) -> None:
        key = job.metadata.key
        if status != job.status:
            await self._confirm(job, todo, status)
            said = {
                "metadata": {
                    "uid": job.metadata.uid,
                    "resourceVersion": job.metadata.resource_version,
                },
                "status": jobpods.render_status(status),
            }
            answer = await self._objects.patch(JOBS, key, said, subresource="status")
            self._written.wrote(key, answer)
            self.measures.recorded(job, status)
            self._announce(job, status)
        if todo.backoff != backoff.NONE:
            self._histories[key] = todo.backoff

        async def untrack(pod: Pod) -> None:
            await self._untrack(job, pod)

        failure = await batches.each(todo.untrack, untrack)
        if failure is not None:
            raise failure
        self.measures.judged(job, todo)

    async def _claim(self, job: Job, todo: Plan) -> None:
        key = job.metadata.key
        for pod in todo.adopt:
            kept = dict.fromkeys((*pod.metadata.finalizers, jobs.TRACKING))
            answer = await ownership.adopt(
                self._objects, PODS, pod.metadata, JOBS, job.metadata, tuple(kept)
            )
            self._settled.wrote(key, answer)
        for pod in todo.release:
            left = [name for name in pod.metadata.finalizers if name != jobs.TRACKING]
            answer = await ownership.release(self._objects, PODS, pod.metadata, job.metadata, left)
            self._settled.wrote(key, answer)

    async def _create(self, job: Job, births: Sequence[Birth]) -> tuple[int, ApiError | None]:
        body_of = jobpods.bodies(job)
        left = list(reversed(births))
        missing = len(births)

        async def create() -> None:
            nonlocal missing
            body = body_of(left.pop())
            with self._doubts.noting(job.metadata.key):
                answer = await self._objects.create(PODS, job.metadata.namespace, body)
            missing -= 1
            made = self._settled.wrote(job.metadata.key, answer)
            self._say(job, "Normal", "SuccessfulCreate", f"Created pod: {made.name}")

        failure = await batches.slow_start(len(births), create)
        if failure is not None and any(
            cause.reason == "NamespaceTerminating" for cause in failure.causes
        ):
            return missing, None
        if failure is not None:
            self._say(job, "Warning", "FailedCreate", f"Error creating: {failure.message}")
        return missing, failure

    async def _delete(self, job: Job, pod: Pod) -> None:
        try:
            with self._doubts.noting(job.metadata.key):
                if not await remove(self._objects, PODS, pod.metadata):
                    return
        except ApiError as error:
            self._say(job, "Warning", "FailedDelete", f"Error deleting: {error.message}")
            raise
        self._settled.deleted(job.metadata.key, pod.metadata)
        self._say(job, "Normal", "SuccessfulDelete", f"Deleted pod: {pod.metadata.name}")

    async def _untrack(self, job: Job, pod: Pod) -> None:
        answer = await jobpods.untrack(self._objects, pod)
        if answer is not None:
            self._settled.wrote(job.metadata.key, answer)

    async def _confirm(self, job: Job, todo: Plan, status: JobStatus) -> None:
        """The pods that were looked at may be older than the Job: then one could count twice."""
        if int(job.metadata.resource_version or 0) <= self._pods.revision:
            return
        before = job.status.uncounted_terminated_pods or Uncounted()
        after = status.uncounted_terminated_pods or Uncounted()
        dropped = {*before.succeeded, *before.failed} - {*after.succeeded, *after.failed}
        if dropped:
            raise Conflict("the Job was read later than the pods that were counted")
        for pod in todo.fresh:
            try:
                present = _OBJECT.decode(await self._objects.get(PODS, pod.metadata.key)).metadata
            except NotFound:
                present = None
            if present is None or present.uid != pod.metadata.uid:
                raise Conflict(f"pod {pod.metadata.key} is gone, it has been counted")
            if jobs.TRACKING not in present.finalizers:
                raise Conflict(f"pod {pod.metadata.key} has been counted")

    def _announce(self, job: Job, status: JobStatus) -> None:
        before = {(said.type, said.status) for said in job.status.conditions}
        for said in status.conditions:
            if (said.type, said.status) in before:
                continue
            if said.type == jobs.SUSPENDED:
                word = "Suspended" if said.status == "True" else "Resumed"
                self._say(job, "Normal", word, said.message)
            elif said.type == jobs.FAILED:
                self._say(job, "Warning", said.reason, said.message)
            elif said.type == jobs.COMPLETE:
                if status.succeeded > (job.spec.completions or status.succeeded):
                    text = "Too many succeeded pods running after completion count reached"
                    self._say(job, "Warning", "TooManySucceededPods", text)
                self._say(job, "Normal", "Completed", "Job completed")

    def _say(self, job: Job, type_: str, reason: str, message: str) -> None:
        self._recorder.note(reference(JOBS, job.metadata), type_, reason, message)


def _leaving(job: Job) -> Job:
    gone = job.metadata.deletion_timestamp or timestamps.render(0)
    metadata = msgspec.structs.replace(job.metadata, deletion_timestamp=gone)
    return msgspec.structs.replace(job, metadata=metadata)


def selector_of(job: Job) -> Selector | None:
    """Which pods it wants, compiled; a finished one wants none."""
    if jobs.finished(job) is not None or not jobs.is_ours(job):
        return None
    return labels.compile_selector(job.spec.selector)


def job(world: World) -> Controller:
    """The Job controller, wired."""
    owners, found = world.cache(JOBS, Job), world.cache(PODS, Pod)
    indexes.add_controller(found)
    indexes.add_namespace(owners)
    queue: WorkQueue[Key] = WorkQueue()

    def pod_changed(old: Pod | None, new: Pod | None) -> None:
        for item in (old, new):
            owner = controller_of(item.metadata) if item is not None else None
            if item is not None and owner is not None and owner.kind == JOBS.kind:
                queue.add_after(Key(item.metadata.namespace, owner.name), TOGETHER_SECONDS)

    cluster = Jobs(world, owners, found)
    measures = cluster.measures

    def job_came(old: Job | None, new: Job | None) -> None:
        if old is None and new is not None:
            measures.job_came(new)

    owners.on_change(wiring.itself(queue))
    owners.on_change(job_came)
    found.on_change(pod_changed)
    found.on_change(measures.pod_changed)
    found.on_change(wiring.its_takers(queue, owners, selector_of))
    timed = Timed(JobController(cluster), owners.get, measures)
    return replace(controller(timed, queue, owners), measured=measures.families)
