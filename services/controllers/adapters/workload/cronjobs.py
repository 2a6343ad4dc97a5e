"""CronJobs and their Jobs, and the writes to both; Jobs that ended and whose time is over."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec

from pilothouse.services.controllers.adapters import indexes, wiring
from pilothouse.services.controllers.adapters.removal import remove
from pilothouse.services.controllers.adapters.workload.jobmeasures import (
    CronJobMeasures,
    TTLMeasures,
)
from pilothouse.services.controllers.adapters.world import (
    Controller,
    World,
    controller,
    reference,
)
from pilothouse.services.controllers.workload import ttlafterfinished
from pilothouse.services.controllers.workload.cron import starts
from pilothouse.services.controllers.workload.cronjob import CronJobController, Plan, Start
from pilothouse.services.controllers.workload.ttlafterfinished import TTLController
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.errors import AlreadyExists, ApiError, NotFound
from pilothouse.services.machinery.kinds import jobs
from pilothouse.services.machinery.kinds.jobs import CronJob, CronJobStatus, Job, JobReference
from pilothouse.services.machinery.objects import Key, controller_of, owner_reference
from pilothouse.services.machinery.resources import CRON_JOBS, JOBS
from pilothouse.services.runtime.client.cache import Cache
from pilothouse.services.runtime.client.objects import Objects
from pilothouse.services.runtime.control.queue import WorkQueue
from pilothouse.services.runtime.control.settled import Settled

_JOB = msgspec.json.Decoder(Job)


class CronJobs:
    """What the CronJob controller asks for."""

    def __init__(self, world: World, cronjobs: Cache[CronJob], found: Cache[Job]) -> None:
        self.measures = CronJobMeasures()
        self._objects = world.objects
        self._clock = world.clock
        self._cronjobs = cronjobs
        self._jobs = found
        self._written = Settled(cronjobs)
        self._settled = Settled(found)
        self._recorder = world.recorder("cronjob-controller")

    def find(self, key: Key) -> CronJob | None:
        cronjob = self._cronjobs.get(key)
        if cronjob is None:
            self._written.forget(key)
            self._settled.forget(key)
        return cronjob

    async def jobs_of(self, cronjob: CronJob) -> Sequence[Job]:
        found = self._jobs.by_index(indexes.CONTROLLER, cronjob.metadata.uid)
        known = {job.metadata.uid for job in found}
        for item in cronjob.status.active:
            if item.uid not in known:
                found += await self._present(cronjob, item)
        return sorted(found, key=lambda job: job.metadata.name)

    def now(self) -> float:
        return self._clock.now()

    def settled(self, key: Key) -> bool:
        return self._written.is_settled(key) and self._settled.is_settled(key)

    async def delete(self, cronjob: CronJob, todo: Plan) -> None:
        for note in todo.notes:
            type_ = "Warning" if note.warning else "Normal"
            self._say(cronjob, type_, note.reason, note.message)
        for job in todo.delete:
            try:
                await _delete(self._objects, job)
            except NotFound:
                continue
            except ApiError as error:
                self._say(cronjob, "Warning", "FailedDelete", f"Deleted job: {error.message}")
                raise
            self._settled.deleted(cronjob.metadata.key, job.metadata)
            self._say(cronjob, "Normal", "SuccessfulDelete", f"Deleted job {job.metadata.name}")

    async def start(self, cronjob: CronJob, start: Start) -> JobReference | None:
        key = Key(cronjob.metadata.namespace, start.name)
        born = False
        try:
            answer = await self._objects.create(JOBS, key.namespace, _body(cronjob, start))
            born = True
            self._say(cronjob, "Normal", "SuccessfulCreate", f"Created job {start.name}")
        except AlreadyExists:
            answer = await self._objects.get(JOBS, key)
        except ApiError as error:
            text = f"Error creating job: {error.message}"
            self._say(cronjob, "Warning", "FailedCreate", text)
            raise
        made = _JOB.decode(answer)
        if born and made.metadata.creation_timestamp:
            self.measures.started(start.due, timestamps.parse(made.metadata.creation_timestamp))
        if not _is_controlled(made, cronjob):
            return None
        self._settled.wrote(cronjob.metadata.key, answer)
        return JobReference(
            name=start.name,
            namespace=key.namespace,
            uid=made.metadata.uid,
            resource_version=made.metadata.resource_version,
        )

    async def write_status(self, cronjob: CronJob, status: CronJobStatus) -> None:
        said = {
            "active": [msgspec.to_builtins(item) for item in status.active] or None,
            "lastScheduleTime": status.last_schedule_time,
            "lastSuccessfulTime": status.last_successful_time,
        }
        metadata = {
            "uid": cronjob.metadata.uid,
            "resourceVersion": cronjob.metadata.resource_version,
        }
        key = cronjob.metadata.key
        patch = {"metadata": metadata, "status": said}
        answer = await self._objects.patch(CRON_JOBS, key, patch, subresource="status")
        self._written.wrote(key, answer)

    async def _present(self, cronjob: CronJob, item: JobReference) -> Sequence[Job]:
        """The Job of a status that the cache does not show: not there yet, or gone."""
        try:
            answer = await self._objects.get(JOBS, Key(cronjob.metadata.namespace, item.name))
        except NotFound:
            return ()
        found = _JOB.decode(answer)
        return (found,) if found.metadata.uid == item.uid else ()

    def _say(self, cronjob: CronJob, type_: str, reason: str, message: str) -> None:
        self._recorder.note(reference(CRON_JOBS, cronjob.metadata), type_, reason, message)


def _is_controlled(job: Job, cronjob: CronJob) -> bool:
    owner = controller_of(job.metadata)
    return owner is not None and owner.uid == cronjob.metadata.uid


def _body(cronjob: CronJob, start: Start) -> dict[str, Any]:
    template = cronjob.spec.job_template
    metadata = {
        "name": start.name,
        "namespace": cronjob.metadata.namespace,
        "labels": template.metadata.labels,
        "annotations": {**template.metadata.annotations, jobs.SCHEDULED: start.stamp},
        "ownerReferences": [owner_reference(CRON_JOBS, cronjob.metadata)],
    }
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": template.spec}


async def _delete(objects: Objects, job: Job) -> None:
    await objects.delete(
        JOBS, job.metadata.key, uid=job.metadata.uid, propagation_policy="Background"
    )


def cronjob(world: World) -> Controller:
    """The CronJob controller, wired: a changed schedule starts nothing that is past."""
    found, owned = world.cache(CRON_JOBS, CronJob), world.cache(JOBS, Job)
    indexes.add_controller(owned)
    queue: WorkQueue[Key] = WorkQueue()

    def changed(old: CronJob | None, new: CronJob | None) -> None:
        item = new if new is not None else old
        if item is None:
            return
        if old is None or new is None or _when(old) == _when(new):
            queue.add(item.metadata.key)
            return
        try:
            wait = starts.seconds_to_next(new, starts.timetable(new), world.clock.now())
        except (KeyError, OSError, ValueError):
            wait = 0.0  # the look says what is wrong
        if wait is not None:
            queue.add_after(item.metadata.key, wait)

    found.on_change(changed)
    owned.on_change(wiring.its_controller(queue, CRON_JOBS))
    cluster = CronJobs(world, found, owned)
    made = controller(CronJobController(cluster), queue, found)
    return replace(made, measured=cluster.measures.families)


def _when(cronjob: CronJob) -> tuple[str, str | None]:
    return (cronjob.spec.schedule, cronjob.spec.time_zone)


class Remains:
    """What the TTL controller asks for."""

    def __init__(self, world: World) -> None:
        self.measures = TTLMeasures()
        self._objects = world.objects
        self._clock = world.clock
        self._jobs = world.cache(JOBS, Job)

    def find(self, key: Key) -> Job | None:
        return self._jobs.get(key)

    async def present(self, key: Key) -> Job | None:
        try:
            return _JOB.decode(await self._objects.get(JOBS, key))
        except NotFound:
            return None

    def now(self) -> float:
        return self._clock.now()

    async def delete(self, job: Job) -> None:
        await remove(self._objects, JOBS, job.metadata, propagation_policy="Foreground")
        self.measures.deleted(-(ttlafterfinished.seconds_left(job, self.now()) or 0.0))


def ttl_after_finished(world: World) -> Controller:
    """The TTL controller, wired."""
    found = world.cache(JOBS, Job)
    queue: WorkQueue[Key] = WorkQueue()

    def changed(_: Job | None, new: Job | None) -> None:
        if new is not None and new.spec.ttl_seconds_after_finished is not None:
            queue.add(new.metadata.key)

    found.on_change(changed)
    cluster = Remains(world)
    made = controller(TTLController(cluster), queue, found)
    return replace(made, measured=cluster.measures.families)
