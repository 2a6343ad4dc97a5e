"""
CronJob: make a Job whenever ``spec.schedule`` says so.

Reads   CronJob, Job (its own)
Writes  Job (create; delete those to be replaced, and the oldest that ended), CronJob status
Again   when the next start is due

A Job is named after the minute it was due in, so one start makes one Job, however often it is
tried. Of several missed starts only the newest is made up for.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import msgspec

from pilothouse.services.controllers.workload.cron import history, starts
from pilothouse.services.controllers.workload.cron.history import Note
from pilothouse.services.controllers.workload.cron.starts import Missed, Timetable
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.kinds.jobs import CronJob, CronJobStatus, Job, JobReference
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import DONE, Result

UNSEEN_SECONDS_MAX = 5.0


@dataclass(frozen=True, slots=True)
class Start:
    """A Job to be made: ``due`` is when (seconds), ``stamp`` the same as the Job is to say it."""

    name: str
    due: float
    stamp: str


@dataclass(frozen=True, slots=True)
class Plan:
    """``status`` is as it is once ``delete`` is done; what ``start`` makes is added to it."""

    status: CronJobStatus
    delete: tuple[Job, ...] = ()
    start: Start | None = None
    notes: tuple[Note, ...] = ()
    again_after: float | None = None


def plan(cronjob: CronJob, owned: Sequence[Job], now: float) -> Plan:
    """``owned`` are all Jobs that it controls."""
    status, notes = history.status(cronjob, owned)
    todo = Plan(status, history.surplus(cronjob, owned), notes=notes)
    if cronjob.metadata.deleting or cronjob.spec.suspend:
        return todo
    try:
        table = starts.timetable(cronjob)
    except (KeyError, OSError):
        return _told(todo, history.unknown_zone(cronjob))
    except ValueError as error:
        return _told(todo, history.unreadable(cronjob, error))
    try:
        missed = starts.missed(table, starts.since(cronjob, now), now)
    except ValueError as error:
        return _told(todo, history.invalid(cronjob, error))
    todo = replace(todo, again_after=starts.seconds_to_next(cronjob, table, now))
    if missed.number > starts.MISSED_MAX:
        todo = _told(todo, history.TOO_MANY)
    return todo if missed.newest is None else _started(cronjob, owned, todo, table, missed, now)


def _started(
    cronjob: CronJob, owned: Sequence[Job], todo: Plan, table: Timetable, missed: Missed, now: float
) -> Plan:
    """With what the newest missed start asks for."""
    due, spec, active = missed.newest or 0.0, cronjob.spec, todo.status.active
    if spec.starting_deadline_seconds is not None and due + spec.starting_deadline_seconds < now:
        return _told(todo, history.too_late(due))
    name = f"{cronjob.metadata.name}-{int(due) // 60}"
    last = cronjob.status.last_schedule_time
    done = last is not None and timestamps.parse(last) == due
    if done or any(item.name == name for item in active):
        return todo
    if spec.concurrency_policy == "Forbid" and active:
        return _told(todo, history.STILL_ACTIVE)
    start = Start(name, due, starts.stamp(table, due))
    if spec.concurrency_policy != "Replace":
        return replace(todo, start=start)
    replaced = {item.uid for item in active}
    delete = tuple(job for job in owned if job.metadata.uid in replaced)
    status = msgspec.structs.replace(todo.status, active=())
    return replace(todo, status=status, delete=(*todo.delete, *delete), start=start)


def _told(todo: Plan, note: Note) -> Plan:
    return replace(todo, notes=(*todo.notes, note))


class Cluster(Protocol):
    """What this controller asks of the API."""

    def find(self, key: Key) -> CronJob | None: ...
    async def jobs_of(self, cronjob: CronJob) -> Sequence[Job]:
        """Those it controls; one that its status names is there if the API has it."""

    def now(self) -> float: ...
    def settled(self, key: Key) -> bool:
        """Whether our own last writes for ``key`` have come back to us."""

    async def delete(self, cronjob: CronJob, todo: Plan) -> None:
        """Delete ``todo.delete`` and tell ``todo.notes``."""

    async def start(self, cronjob: CronJob, start: Start) -> JobReference | None:
        """Make the Job; None when the name is taken by a stranger."""

    async def write_status(self, cronjob: CronJob, status: CronJobStatus) -> None: ...


class CronJobController:
    """Starts Jobs by the clock."""

    name = "cronjob"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def reconcile(self, key: Key) -> Result:
        cronjob = self._cluster.find(key)
        if cronjob is None:
            return DONE
        if not self._cluster.settled(key):
            return Result.unseen(UNSEEN_SECONDS_MAX)
        todo = plan(cronjob, await self._cluster.jobs_of(cronjob), self._cluster.now())
        await self._cluster.delete(cronjob, todo)
        status = todo.status
        made = await self._cluster.start(cronjob, todo.start) if todo.start is not None else None
        if made is not None and todo.start is not None:
            status = msgspec.structs.replace(
                status,
                active=(*status.active, made),
                last_schedule_time=timestamps.render(todo.start.due),
            )
        if status != cronjob.status:
            await self._cluster.write_status(cronjob, status)
        return Result(again_after=todo.again_after)
