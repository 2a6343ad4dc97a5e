"""The loop around the decisions, against a cluster that binds, fails or hangs as told."""

import asyncio
import contextlib

from kit.scheduling import node, pod

from pilothouse.services.machinery.errors import NotFound, ServiceUnavailable
from pilothouse.services.runtime.clock import SystemClock
from pilothouse.services.scheduler import cycle
from pilothouse.services.scheduler import loop as loops
from pilothouse.services.scheduler.loop import Loop
from pilothouse.services.scheduler.scheduler import Scheduler


class FakeCluster:
    """Remembers what it was asked; ``failures`` messages fail first, ``gate`` holds them back.

    Pods named in ``gone`` are refused, alone.
    """

    def __init__(self, failures=0, gone=()):
        self.failures = failures
        self.gone = gone
        self.bound, self.refused = [], []
        self.now_binding = self.most_binding = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def bind(self, pairs):
        self.now_binding += len(pairs)
        self.most_binding = max(self.most_binding, self.now_binding)
        await self.gate.wait()
        self.now_binding -= len(pairs)
        if self.failures:
            self.failures -= 1
            raise ServiceUnavailable("the store does not answer")
        refused = [NotFound("gone") if pod.key.name in self.gone else None for pod, _ in pairs]
        self.bound += [
            (pod.key.name, node)
            for (pod, node), refusal in zip(pairs, refused, strict=True)
            if refusal is None
        ]
        return refused

    async def refuse(self, candidate, sentence):
        self.refused.append((candidate.key.name, sentence))


@contextlib.asynccontextmanager
async def running(scheduler, cluster, clock=None):
    loop = Loop(scheduler, cluster, clock or SystemClock())
    task = asyncio.create_task(loop.run())
    try:
        yield loop
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


def scheduler_with(*nodes):
    scheduler = Scheduler()
    for item in nodes:
        scheduler.put_node(item, 0)
    return scheduler


async def test_pods_are_bound_and_the_hopeless_are_told():
    scheduler, cluster = scheduler_with(node("a")), FakeCluster()
    async with running(scheduler, cluster) as loop:
        scheduler.put_waiting(pod("one"))
        scheduler.put_waiting(pod("big", requests={"cpu": "64"}))
        loop.wake()
        await until(lambda: cluster.bound and cluster.refused)
    assert cluster.bound == [("one", "a")]
    assert cluster.refused == [("big", "0/1 nodes are available: 1 Insufficient cpu.")]


async def test_a_pod_whose_bind_failed_is_bound_later():
    scheduler, cluster = scheduler_with(node("a")), FakeCluster(failures=1)
    async with running(scheduler, cluster):
        scheduler.put_waiting(pod("one"))
        await until(lambda: cluster.bound)
    assert cluster.bound == [("one", "a")]
    assert cluster.failures == 0


async def test_binds_are_bounded_and_deciding_waits_for_them():
    scheduler, cluster = scheduler_with(node("a", cpu="64", pods="2000")), FakeCluster()
    cluster.gate.clear()
    async with running(scheduler, cluster):
        for number in range(1000):
            scheduler.put_waiting(pod(f"p{number}"))
        binding_max = loops.BINDS_TOGETHER_MAX * loops.MESSAGES_AT_A_TIME_MAX
        await until(lambda: len(scheduler.table.on_node("a")) > loops.BINDS_DECIDED_MAX)
        await asyncio.sleep(0.05)
        ahead = len(scheduler.table.on_node("a"))
        assert ahead <= binding_max + loops.BINDS_DECIDED_MAX + 1
        cluster.gate.set()
        await until(lambda: len(cluster.bound) == 1000)
    assert cluster.most_binding <= binding_max


async def test_one_that_can_not_be_bound_is_no_other_ones_failure():
    scheduler = scheduler_with(node("a", cpu="64", pods="200"))
    cluster = FakeCluster(gone=("p3",))
    async with running(scheduler, cluster):
        for number in range(6):
            scheduler.put_waiting(pod(f"p{number}"))
        await until(lambda: len(cluster.bound) == 5)
    assert [name for name, _ in cluster.bound] == ["p0", "p1", "p2", "p4", "p5"]


async def test_what_was_decided_and_not_bound_waits_for_the_next_run():
    scheduler, cluster = scheduler_with(node("a")), FakeCluster()
    cluster.gate.clear()
    names = [f"p{number}" for number in range(3)]
    async with running(scheduler, cluster) as loop:
        for name in names:
            scheduler.put_waiting(pod(name))
        loop.wake()
        await until(lambda: cluster.now_binding == len(names))
    assert not cluster.bound
    cluster.gate.set()
    async with running(scheduler, cluster):
        await until(lambda: sorted(name for name, _ in cluster.bound) == names)


async def test_a_pod_on_which_a_rule_fails_delays_only_itself(monkeypatch):
    schedule, cluster, tries = cycle.schedule, FakeCluster(), []

    def failing(candidate, *rest):
        if candidate.key.name == "poisoned" and len(tries) < 2:
            tries.append(candidate.key)
            raise KeyError("never foreseen")
        return schedule(candidate, *rest)

    monkeypatch.setattr(cycle, "schedule", failing)
    scheduler = scheduler_with(node("a"))
    for name in ("poisoned", "one", "two"):
        scheduler.put_waiting(pod(name))
    async with running(scheduler, cluster) as loop:
        await until(lambda: len(cluster.bound) == 2)
        assert {name for name, _ in cluster.bound} == {"one", "two"}
        assert loop.attempts["error"] == len(tries) == 1
        await until(lambda: len(cluster.bound) == 3)
        assert loop.attempts["error"] == len(tries) == 2


class HeldClock(SystemClock):
    """Who sleeps waits for ``go``."""

    def __init__(self):
        self.go = asyncio.Event()

    async def sleep(self, seconds):
        await self.go.wait()


async def test_what_comes_while_a_message_leaves_goes_together():
    scheduler, cluster, clock = scheduler_with(node("a")), FakeCluster(), HeldClock()
    sizes = []

    async def bind(pairs, bind=cluster.bind):
        sizes.append(len(pairs))
        return await bind(pairs)

    cluster.bind = bind
    async with running(scheduler, cluster, clock) as loop:
        scheduler.put_waiting(pod("first"))
        loop.wake()
        await until(lambda: cluster.bound)
        for name in ("one", "two", "three"):
            scheduler.put_waiting(pod(name))
        loop.wake()
        await until(lambda: len(scheduler.table.on_node("a")) == 4)
        assert sizes == [1]
        clock.go.set()
        await until(lambda: len(cluster.bound) == 4)
    assert sizes == [1, 3]
