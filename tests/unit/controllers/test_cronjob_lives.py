"""Whole lives of CronJobs: their Jobs end as they like, and a look may die between two writes."""

import itertools
from datetime import UTC

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from pilothouse.services.controllers.workload import cronjob as controller
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.kinds import jobs, schedules
from pilothouse.services.machinery.kinds.jobs import (
    CronJob,
    CronJobSpec,
    Job,
    JobCondition,
    JobReference,
    JobStatus,
)
from pilothouse.services.machinery.objects import Metadata

START = 30_000_000.0 * 60
replace = msgspec.structs.replace


class World:
    """One CronJob, its Jobs and a clock; ``made`` are the names of all that ever were."""

    def __init__(self, spec):
        metadata = Metadata(name="c", uid="C", creation_timestamp=timestamps.render(START))
        self.cronjob = CronJob(metadata=metadata, spec=spec)
        self.jobs, self.made, self.now = {}, [], START
        self.numbers = itertools.count()

    def look(self, writes_max=100):
        """Whether there was anything to do. It dies after ``writes_max`` writes."""
        todo = controller.plan(self.cronjob, list(self.jobs.values()), self.now)
        writes = [lambda item=item: self.jobs.pop(item.metadata.name) for item in todo.delete]
        status = todo.status
        if todo.start is not None:
            writes.append(lambda: self.start(todo.start))
        for write in writes[:writes_max]:
            write()
        if len(writes) >= writes_max:
            return True
        if todo.start is not None:
            job = self.jobs[todo.start.name]
            made = JobReference(name=job.metadata.name, uid=job.metadata.uid)
            stamp = timestamps.render(todo.start.due)
            before = self.cronjob.status.last_schedule_time
            assert before is None or before < stamp
            status = replace(status, active=(*status.active, made), last_schedule_time=stamp)
        changed = status != self.cronjob.status
        self.cronjob = replace(self.cronjob, status=status)
        return changed or bool(writes)

    def start(self, start):
        assert not self.cronjob.spec.suspend
        if start.name in self.jobs:
            return
        assert start.name not in self.made, "one start makes one Job"
        self.made.append(start.name)
        deadline = self.cronjob.spec.starting_deadline_seconds
        assert deadline is None or start.due + deadline >= self.now
        minute = schedules.following(self.schedule, start.due - 60, UTC)
        assert minute == start.due <= self.now
        uid = f"u{next(self.numbers)}"
        status = JobStatus(start_time=timestamps.render(self.now))
        self.jobs[start.name] = Job(metadata=Metadata(name=start.name, uid=uid), status=status)

    @property
    def schedule(self):
        return schedules.parse(self.cronjob.spec.schedule)

    def ended(self, kind):
        return [job for job in self.jobs.values() if jobs.condition(job, kind)]

    @property
    def running(self):
        return [job for job in self.jobs.values() if jobs.finished(job) is None]

    def end(self, number, kind):
        if not self.running:
            return
        job = self.running[number % len(self.running)]
        stamp = timestamps.render(self.now)
        said = JobCondition(type=kind, status="True", last_transition_time=stamp)
        done = stamp if kind == jobs.COMPLETE else None
        status = replace(job.status, conditions=(said,), completion_time=done)
        self.jobs[job.metadata.name] = replace(job, status=status)

    def settle(self):
        for _ in range(4):
            if not self.look():
                return
        raise AssertionError("it never comes to rest")

    def keeps_its_limits(self):
        spec, status = self.cronjob.spec, self.cronjob.status
        assert len(self.ended(jobs.COMPLETE)) <= spec.successful_jobs_history_limit
        assert len(self.ended(jobs.FAILED)) <= spec.failed_jobs_history_limit
        if spec.concurrency_policy != "Allow":
            assert len(self.running) <= 1
        listed = {item.uid for item in status.active}
        assert listed == {job.metadata.uid for job in self.running}


EVENT = st.one_of(
    st.tuples(st.just("wait"), st.integers(1, 400)),
    st.tuples(st.just("end"), st.integers(0, 9), st.sampled_from([jobs.COMPLETE, jobs.FAILED])),
    st.tuples(st.just("die"), st.integers(1, 400), st.integers(1, 3)),
    st.tuples(st.just("delete"), st.integers(0, 9)),
    st.tuples(st.just("suspend"), st.booleans()),
)
SPEC = st.builds(
    lambda schedule, policy, deadline, won, lost: CronJobSpec(
        schedule=schedule, concurrency_policy=policy, starting_deadline_seconds=deadline,
        successful_jobs_history_limit=won, failed_jobs_history_limit=lost,
    ),
    st.sampled_from(["* * * * *", "*/3 * * * *", "1,2,5 * * * *"]),
    st.sampled_from(["Allow", "Forbid", "Replace"]),
    st.sampled_from([None, 15, 90]), st.integers(0, 3), st.integers(0, 2),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(SPEC, st.lists(EVENT, max_size=40))
def test_one_start_makes_one_job_and_no_policy_is_broken(spec, events):
    world = World(spec)
    for what, *values in events:
        if what == "wait":
            world.now += values[0]
        elif what == "end":
            world.end(*values)
        elif what == "die":
            world.now += values[0]
            world.look(values[1])
        elif what == "delete" and world.jobs:
            world.jobs.pop(sorted(world.jobs)[values[0] % len(world.jobs)])
        elif what == "suspend":
            spec = replace(world.cronjob.spec, suspend=values[0])
            world.cronjob = replace(world.cronjob, spec=spec)
        world.settle()
        world.keeps_its_limits()
