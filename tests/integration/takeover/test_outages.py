"""The API server goes away for longer than a term: who led stands by, stays, and leads again."""

import asyncio

import pytest

from pilothouse.services.runtime.clock import SystemClock

SHORT = [f"--leader-elect-{time}" for time in
         ("lease-duration=3s", "renew-deadline=2s", "retry-period=300ms")]  # fmt: skip
MANAGER_LEASE, SCHEDULER_LEASE = "kube-controller-manager", "kube-scheduler"
# The node of these tests has no kubelet.
PATIENT = "--node-monitor-grace-period=600s"


async def outlives(stage, away, seconds, times):
    clock = SystemClock()
    async with (
        asyncio.TaskGroup() as group,
        stage.component("controllers", "manager", PATIENT, *times, mesh=stage.private) as manager,
        stage.component("scheduler", "scheduler", *times, mesh=stage.private) as scheduler,
    ):
        watching = group.create_task(stage.watch_births())
        await stage.leader(MANAGER_LEASE, [manager])
        await stage.leader(SCHEDULER_LEASE, [scheduler])
        await stage.account()
        await stage.node("node-1")
        await stage.deploy(3)
        await stage.bound(3)
        watching.cancel()
        await away(seconds)
        began = clock.monotonic()
        await stage.scale(5)
        await stage.settled(5)
        await stage.bound(5)
        took = clock.monotonic() - began
        stage.tell(f"back after {seconds:.0f} s, all was done {took:.2f} s later")
        assert manager.process.returncode is None
        assert scheduler.process.returncode is None
    for name in ("manager", "scheduler"):
        assert "standing by" in (stage.folder / f"{name}.log").read_text()


async def test_who_loses_the_lease_with_the_server_pauses_and_goes_on(stage):
    await outlives(stage, stage.outage, 3.0, SHORT)


@pytest.mark.long
async def test_thirty_seconds_without_a_server_end_no_process(stage):
    await outlives(stage, stage.outage, 30.0, [])


@pytest.mark.long
async def test_a_server_that_stands_still_ends_no_process(stage):
    await outlives(stage, stage.standstill, 30.0, [])
