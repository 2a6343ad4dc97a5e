"""CronJobs: what starts when.

Nobody waits for a minute here: a CronJob that is told to have started last ten minutes ago makes
up at once for the newest start since, and one whose schedule then moves to a later minute makes
up for that one as well.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from kit.lifecycle import eventually
from kit.official import Official
from kit.syllabus import line

CRON = "apps/cronjob.go"


class Cron:
    """A CronJob whose Jobs run until they are deleted."""

    def __init__(self, client: Official, namespace: str) -> None:
        self.client, self.namespace = client, namespace

    def create(self, policy: str) -> None:
        """Suspended, and behind."""
        container = {"name": "c", "image": "busybox", "command": ["sleep", "3600"]}
        pods = {
            "restartPolicy": "OnFailure",
            "terminationGracePeriodSeconds": 0,
            "containers": [container],
        }
        spec = {
            "schedule": minute(3),
            "concurrencyPolicy": policy,
            "suspend": True,
            "jobTemplate": {"spec": {"template": {"spec": pods}}},
        }
        body = {"metadata": {"name": "c"}, "spec": spec}
        self.client.batch.create_namespaced_cron_job(self.namespace, body)
        past = datetime.now(UTC) - timedelta(minutes=10)
        self.client.batch.patch_namespaced_cron_job_status(
            "c", self.namespace, {"status": {"lastScheduleTime": past.strftime("%FT%TZ")}}
        )

    def patch(self, **spec: Any) -> None:
        self.client.batch.patch_namespaced_cron_job("c", self.namespace, {"spec": spec})

    def due_again(self) -> None:
        """A later minute is past that it has not started for."""
        self.patch(schedule=minute(1))
        self.patch(startingDeadlineSeconds=400)  # a change of the time alone starts nothing past

    def active(self) -> list[str]:
        status = self.client.batch.read_namespaced_cron_job("c", self.namespace).status
        return sorted(one.name for one in status.active or ())

    def jobs(self) -> list[str]:
        found = self.client.batch.list_namespaced_job(self.namespace).items
        return sorted(one.metadata.name for one in found if not one.metadata.deletion_timestamp)

    def starts(self, count: int) -> list[str]:
        def told() -> list[str]:
            there = self.jobs()
            return there if len(there) == count and self.active() == there else []

        found: list[str] = eventually(f"{count} run, and it says which", told)
        return found

    def said(self, reason: str) -> bool:
        fields = f"involvedObject.name=c,reason={reason}"
        return bool(
            self.client.core.list_namespaced_event(self.namespace, field_selector=fields).items
        )


def minute(ago: int) -> str:
    """The schedule of the minute that was ``ago`` minutes ago, every hour."""
    return f"{(datetime.now(UTC) - timedelta(minutes=ago)).minute} * * * *"


@pytest.fixture
def cron(client: Official, namespace: str) -> Iterator[Cron]:
    found = Cron(client, namespace)
    yield found
    client.batch.delete_namespaced_cron_job("c", namespace, propagation_policy="Background")


@line(CRON, "no jobs when suspended")
def test_a_suspended_one_starts_nothing(cron: Cron) -> None:
    cron.create("Allow")
    assert (cron.active(), cron.jobs()) == ([], [])
    cron.patch(suspend=False)
    (name,) = cron.starts(1)
    job = cron.client.batch.read_namespaced_job(name, cron.namespace)
    stamp = job.metadata.annotations["batch.kubernetes.io/cronjob-scheduled-timestamp"]
    due = int(datetime.fromisoformat(stamp).timestamp())
    assert (name, due % 60) == (f"c-{due // 60}", 0)
    assert [one.name for one in job.metadata.owner_references] == ["c"]
    told = cron.client.batch.read_namespaced_cron_job("c", cron.namespace).status
    assert told.last_schedule_time == datetime.fromtimestamp(due, UTC)


@line(CRON, "AllowConcurrent")
def test_two_may_run_at_a_time(cron: Cron) -> None:
    cron.create("Allow")
    cron.patch(suspend=False)
    first = cron.starts(1)
    cron.due_again()
    assert set(cron.starts(2)) > set(first)


@line(CRON, "ForbidConcurrent")
def test_the_next_waits_for_the_one_before(cron: Cron) -> None:
    cron.create("Forbid")
    cron.patch(suspend=False)
    first = cron.starts(1)
    cron.due_again()
    eventually("it is told", lambda: cron.said("JobAlreadyActive"))
    assert cron.starts(1) == first


@line(CRON, "ReplaceConcurrent")
def test_the_next_replaces_the_one_before(cron: Cron) -> None:
    cron.create("Replace")
    cron.patch(suspend=False)
    first = cron.starts(1)
    cron.due_again()
    eventually("another runs", lambda: cron.jobs() and cron.jobs() != first)
    eventually("it alone", lambda: cron.starts(1) > first)
