"""A pod's status is told as the newest, in its turn, until it is heard."""

import asyncio
import dataclasses

from kit.containerd import pod_of
from kit.node import FakeCluster, view

from pilothouse.services.kubelet.workers.status_writer import StatusWriter
from pilothouse.services.machinery.errors import ServiceUnavailable
from pilothouse.services.runtime.clock import SystemClock


@dataclasses.dataclass
class SomeParts:
    """The parts that a status writer uses."""

    cluster: FakeCluster
    telling: asyncio.Semaphore
    linger_seconds: float = 0.0
    clock: SystemClock = dataclasses.field(default_factory=SystemClock)


class DeafCluster(FakeCluster):
    """Hears the second word."""

    def __init__(self):
        super().__init__()
        self.asked = 0

    async def write_status(self, pod, status):
        self.asked += 1
        if self.asked == 1:
            raise ServiceUnavailable("not now")
        await super().write_status(pod, status)


def status(phase):
    return {"phase": phase, "conditions": []}


async def told(parts, *phases):
    """What was written when all these were offered one after the other."""
    writer, pod = StatusWriter(parts), view(pod_of("uid"))
    async with asyncio.TaskGroup() as group:
        running = group.create_task(writer.run())
        for phase in phases:
            writer.offer(pod, status(phase))
            await asyncio.sleep(0)
        if parts.telling.locked():
            await asyncio.sleep(0.02)
            assert parts.cluster.history == []
            parts.telling.release()
        await writer.wait_written()
        running.cancel()
    assert writer.recorded(pod)["phase"] == phases[-1]
    return [said["phase"] for _, said in parts.cluster.history]


async def test_what_waits_for_its_turn_is_the_newest_by_then():
    assert await told(SomeParts(FakeCluster(), asyncio.Semaphore(0)), "Pending", "Running") == [
        "Running"
    ]


async def test_what_is_offered_while_it_lingers_is_one_write():
    parts = SomeParts(FakeCluster(), asyncio.Semaphore(1), linger_seconds=0.05)
    assert await told(parts, "Pending", "Running", "Failed") == ["Failed"]


async def test_it_is_told_again_until_it_is_heard():
    cluster = DeafCluster()
    assert await told(SomeParts(cluster, asyncio.Semaphore(1)), "Running") == ["Running"]
    assert cluster.asked == 2


async def test_what_passes_is_not_told_when_something_follows():
    parts = SomeParts(FakeCluster(), asyncio.Semaphore(1))
    writer, pod = StatusWriter(parts), view(pod_of("uid"))
    async with asyncio.TaskGroup() as group:
        running = group.create_task(writer.run())
        writer.offer(pod, status("Pending"), is_passing=True)
        await asyncio.sleep(0.01)
        writer.offer(pod, status("Running"))
        await writer.wait_written()
        writer.offer(pod, status("Failed"), is_passing=True)
        await writer.wait_written()
        running.cancel()
    assert [said["phase"] for _, said in parts.cluster.history] == ["Running", "Failed"]


async def test_what_builds_on_an_untold_status_tells_that_too():
    """As the worker does it: the next status is made of the newest, what is told of the API's."""
    parts = SomeParts(FakeCluster(), asyncio.Semaphore(1))
    writer, pod = StatusWriter(parts), view(pod_of("uid"))
    async with asyncio.TaskGroup() as group:
        running = group.create_task(writer.run())
        writer.offer(pod, status("Pending") | {"startTime": "then"}, is_passing=True)
        assert writer.newest(pod)["startTime"] == "then"
        assert "startTime" not in writer.recorded(pod)
        writer.offer(pod, status("Running") | {"startTime": writer.newest(pod)["startTime"]})
        await writer.wait_written()
        running.cancel()
    assert [said for _, said in parts.cluster.history] == [
        {"phase": "Running", "startTime": "then"}
    ]
