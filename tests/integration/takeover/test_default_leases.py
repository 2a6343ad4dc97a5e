"""Leaders that die or are stopped, with the lease that everybody has: 15 s, 10 s, 2 s."""

import asyncio
import contextlib
import signal

import pytest

from pilothouse.services.runtime.clock import SystemClock

MANAGERS = ("manager-a", "manager-b")
SCHEDULERS = ("scheduler-a", "scheduler-b")
MANAGER_LEASE, SCHEDULER_LEASE = "kube-controller-manager", "kube-scheduler"
TAKEOVER_SECONDS_MAX = 20.0
# The node of these tests has no kubelet.
PATIENT = "--node-monitor-grace-period=600s"
FIRST, SECOND, THIRD = 300, 400, 450


@contextlib.asynccontextmanager
async def pairs(stage):
    """Two managers and two schedulers, of each the leader first, and a burst of work begun."""
    async with (
        asyncio.TaskGroup() as group,
        stage.component("controllers", MANAGERS[0], PATIENT) as one,
        stage.component("controllers", MANAGERS[1], PATIENT) as two,
        stage.component("scheduler", SCHEDULERS[0]) as three,
        stage.component("scheduler", SCHEDULERS[1]) as four,
    ):
        watching = group.create_task(stage.watch_births())
        manager = await stage.leader(MANAGER_LEASE, (one, two))
        scheduler = await stage.leader(SCHEDULER_LEASE, (three, four))
        await stage.account()
        await stage.node("node-1")
        await stage.deploy(FIRST)
        await stage.born(FIRST // 4)
        yield (
            sorted((one, two), key=lambda item: item is not manager),
            sorted((three, four), key=lambda item: item is not scheduler),
        )
        watching.cancel()


async def test_killed_leaders_are_followed_within_20_seconds_and_nothing_is_done_twice(stage):
    clock = SystemClock()
    async with pairs(stage) as ((manager, heir), (scheduler, next_scheduler)):
        manager.process.kill()
        scheduler.process.kill()
        began = clock.monotonic()
        await stage.scale(SECOND)
        await stage.made_by(heir.name)
        managed = clock.monotonic() - began
        await stage.born(SECOND)
        await stage.settled(SECOND)
        await stage.bound(SECOND)
        stage.tell(f"the next manager acted after {managed:.2f} s")
        stage.tell(f"the next scheduler was done after {clock.monotonic() - began:.2f} s")
        assert managed < TAKEOVER_SECONDS_MAX
        assert await stage.leader(SCHEDULER_LEASE, [next_scheduler])
        assert len(stage.uids) == SECOND
        assert set(stage.makers) == {*MANAGERS}


@pytest.mark.long
async def test_stopped_leaders_that_go_on_later_write_nothing_that_they_had_decided(stage):
    clock = SystemClock()
    async with pairs(stage) as ((manager, heir), (scheduler, _)):
        for stopped in (manager, scheduler):
            stopped.process.send_signal(signal.SIGSTOP)
        began = clock.monotonic()
        await stage.scale(SECOND)
        await stage.made_by(heir.name)
        stage.tell(f"the next manager acted after {clock.monotonic() - began:.2f} s")
        assert clock.monotonic() - began < TAKEOVER_SECONDS_MAX
        before = stage.makers.index(heir.name)
        for stopped in (manager, scheduler):
            stopped.process.send_signal(signal.SIGCONT)
        await stage.scale(THIRD)
        await stage.settled(THIRD)
        await stage.bound(THIRD)
        assert len(stage.uids) == len(stage.makers) == THIRD
        assert set(stage.makers[before:]) == {heir.name}
        assigned = await stage.assignments(THIRD - FIRST)
        assert len({note["message"] for note in assigned}) == len(assigned)
        assert all(note["count"] == 1 for note in assigned)
        await hand_over(stage, heir, manager)


async def hand_over(stage, heir, manager):
    """Who goes gives its lease back, and the one that was stopped is told."""
    clock = SystemClock()
    heir.process.send_signal(signal.SIGTERM)
    assert await heir.process.wait() == 0
    began = clock.monotonic()
    await stage.scale(THIRD + 1)
    await stage.born(THIRD + 1)
    stage.tell(f"after a clean end the next acted after {clock.monotonic() - began:.2f} s")
    assert stage.makers[-1] == manager.name
