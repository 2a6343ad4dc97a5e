"""CronJob and TTL: what starts when, what is kept, what goes."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.controllers.workload import cronjob as controller
from pilothouse.services.controllers.workload import ttlafterfinished
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.kinds.jobs import (
    CronJob,
    CronJobSpec,
    CronJobStatus,
    Job,
    JobCondition,
    JobReference,
    JobSpec,
    JobStatus,
)
from pilothouse.services.machinery.objects import Metadata

MINUTE = 60
NOW = 30_000_000.0 * MINUTE + 5
replace = msgspec.structs.replace


def at(seconds: float) -> str:
    return timestamps.render(NOW + seconds)


def cron(schedule: str = "* * * * *", *, born: float = -3, **more: Any) -> CronJob:
    """Born that many seconds ago."""
    metadata = Metadata(name="c", uid="C", creation_timestamp=at(born))
    status = more.pop("status", CronJobStatus())
    return CronJob(metadata=metadata, spec=CronJobSpec(schedule=schedule, **more), status=status)


def job(name: str, end: str = "", *, started: float = -50, **spec: Any) -> Job:
    ended = JobCondition(type=end, status="True", last_transition_time=at(-10))
    return Job(
        metadata=Metadata(name=name, uid=name),
        spec=JobSpec(**spec),
        status=JobStatus(
            conditions=(ended,) if end else (),
            start_time=at(started),
            completion_time=at(-10) if end == "Complete" else None,
        ),
    )


def active(*names: str) -> CronJobStatus:
    found = tuple(JobReference(name=name, uid=name) for name in names)
    return CronJobStatus(active=found, last_schedule_time=at(-65))


def told(todo: controller.Plan) -> list[str]:
    return [note.reason for note in todo.notes]


def test_a_new_one_waits_for_its_first_time():
    todo = controller.plan(cron(), (), NOW)
    assert todo.start is None
    assert todo.again_after == pytest.approx(55.1)


def test_what_is_due_starts_named_after_its_minute():
    todo = controller.plan(cron(born=-30), (), NOW)
    assert todo.start == controller.Start("c-30000000", NOW - 5, "2027-01-15T08:00:00Z")
    assert todo.again_after == pytest.approx(55.1)


def test_a_time_is_told_in_the_zone_of_the_schedule():
    todo = controller.plan(cron("@hourly", born=-30, time_zone="Asia/Kolkata"), (), NOW)
    assert todo.start is None
    todo = controller.plan(cron("30 13 * * *", born=-30, time_zone="Asia/Kolkata"), (), NOW)
    assert todo.start is not None
    assert todo.start.stamp == "2027-01-15T13:30:00+05:30"


def test_one_start_makes_one_job():
    again = controller.plan(cron(status=CronJobStatus(last_schedule_time=at(-5))), (), NOW)
    assert again.start is None
    named = controller.plan(cron(status=active("c-30000000")), (job("c-30000000"),), NOW)
    assert named.start is None


def test_of_many_missed_starts_the_newest_is_made_up_for():
    few = controller.plan(cron(born=-50 * MINUTE), (), NOW)
    assert few.start is not None
    assert (few.start.name, told(few)) == ("c-30000000", [])
    many = controller.plan(cron(born=-500 * MINUTE), (), NOW)
    assert many.start is not None
    assert told(many) == ["TooManyMissedTimes"]


def test_too_late_is_too_late():
    late = cron("0 * * * *", born=-7200, starting_deadline_seconds=10)
    todo = controller.plan(late, (), NOW + 20)
    assert (todo.start, told(todo)) == (None, [])  # it is not even looked for any more
    todo = controller.plan(late, (), NOW + 4)
    assert todo.start is not None


def test_suspended_and_leaving_ones_start_nothing():
    todo = controller.plan(cron(born=-90, suspend=True), (), NOW)
    assert (todo.start, todo.again_after) == (None, None)
    leaving = cron(born=-90)
    leaving = replace(leaving, metadata=replace(leaving.metadata, deletion_timestamp=at(0)))
    assert controller.plan(leaving, (), NOW).start is None


@pytest.mark.parametrize(
    ("policy", "starts", "deleted", "left"),
    [("Allow", True, [], ["a"]), ("Forbid", False, [], ["a"]), ("Replace", True, ["a"], [])],
)
def test_who_runs_while_another_is_due(policy, starts, deleted, left):
    todo = controller.plan(cron(concurrency_policy=policy, status=active("a")), (job("a"),), NOW)
    assert (todo.start is not None) == starts
    assert [item.metadata.name for item in todo.delete] == deleted
    assert [item.name for item in todo.status.active] == left
    assert told(todo) == (["JobAlreadyActive"] if policy == "Forbid" else [])


def test_the_status_knows_who_ended_and_who_is_gone():
    todo = controller.plan(
        cron(suspend=True, status=active("won", "lost", "gone", "runs")),
        (job("won", "Complete"), job("lost", "Failed"), job("runs"), job("strange")),
        NOW,
    )
    assert [item.name for item in todo.status.active] == ["runs"]
    assert todo.status.last_successful_time == at(-10)
    assert told(todo) == ["SawCompletedJob", "SawCompletedJob", "MissingJob", "UnexpectedJob"]


def test_only_so_much_history_is_kept():
    ended = [job(name, "Complete", started=n) for n, name in enumerate("edcba")]
    ended += [job("x", "Failed"), job("y", "Failed", started=-9)]
    kept = cron(suspend=True, successful_jobs_history_limit=3, failed_jobs_history_limit=0)
    todo = controller.plan(kept, ended, NOW)
    assert [item.metadata.name for item in todo.delete] == ["e", "d", "x", "y"]


@pytest.mark.parametrize(
    ("schedule", "zone", "reason"),
    [
        ("61 * * * *", None, "UnparseableSchedule"),
        ("0 0 31 2 *", None, "InvalidSchedule"),
        ("* * * * *", "Nowhere/Else", "UnknownTimeZone"),
    ],
)
def test_what_can_not_be_read_is_told(schedule, zone, reason):
    todo = controller.plan(cron(schedule, born=-90, time_zone=zone), (), NOW)
    assert (todo.start, told(todo)) == (None, [reason])


@given(
    st.sampled_from(["* * * * *", "*/7 * * * *", "@hourly", "@every 90s", "0 3 * * 1-5"]),
    st.integers(0, 10**6),
    st.sampled_from([None, 30, 10**5]),
    st.sampled_from(["Allow", "Forbid", "Replace"]),
)
def test_carried_out_a_plan_leaves_nothing_to_do(schedule, age, deadline, policy):
    item = cron(schedule, born=-age, starting_deadline_seconds=deadline, concurrency_policy=policy)
    todo = controller.plan(item, (), NOW)
    if todo.start is None:
        assert todo.again_after is not None
        return
    assert todo.start.due <= NOW
    made = JobReference(name=todo.start.name, uid=todo.start.name)
    status = CronJobStatus(active=(made,), last_schedule_time=timestamps.render(todo.start.due))
    after = controller.plan(replace(item, status=status), (job(todo.start.name),), NOW)
    assert (after.start, after.delete, after.status) == (None, (), status)


def test_an_ended_job_goes_when_its_time_is_over():
    assert ttlafterfinished.seconds_left(job("a"), NOW) is None
    assert ttlafterfinished.seconds_left(job("a", "Complete"), NOW) is None
    kept = job("a", "Failed", ttl_seconds_after_finished=30)
    assert ttlafterfinished.seconds_left(kept, NOW) == 20
    assert ttlafterfinished.seconds_left(kept, NOW + 20) == 0
