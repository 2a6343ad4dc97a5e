"""The controllers' table: Deployments and their pods come, rest, are rolled over, and go.

2,000 of 10,000 pods, or as many as the flags say. API server, controllers, scheduler and hollow
nodes are processes of their own; this one does what the owners do, and watches. A pass is what a
manager does that takes over: it looks at every object once, here with nothing to do. It runs in
this process, beside the manager that leads.
"""

import argparse
import asyncio
import contextlib
import math
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from grpc import aio
from typing_extensions import override

from pilothouse.ops.bench import cluster, schedule
from pilothouse.ops.bench.cluster import NAMESPACE, Cluster, Counted, each, followed, told
from pilothouse.ops.bench.rows import Row
from pilothouse.services.controllers import manager
from pilothouse.services.controllers.adapters.world import World
from pilothouse.services.machinery.errors import ApiError
from pilothouse.services.machinery.kinds.nodes import Node
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.kinds.workloads import Deployment
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import DEPLOYMENTS, NODES, PODS
from pilothouse.services.runtime.client.objects import Birth, Objects, Selection
from pilothouse.services.runtime.clock import SystemClock
from pilothouse.services.runtime.control.queue import WorkQueue

PODS_ON_A_NODE = 67
"""Of the 110 that fit: while all are rolled over there are more, and some that still leave."""
SETTLE_SECONDS = 5.0
IDLE_SECONDS = 30.0
PERCENT = 100.0
US = 1e6
Act = Callable[[Objects, str, int], Awaitable[None]]
"""On the Deployment of this name, of so many replicas."""
INSIDE = Selection(namespace=NAMESPACE)


@dataclass(frozen=True, slots=True)
class Size:
    """How many Deployments, of how many pods each, on how many nodes."""

    deployments: int = 2_000
    replicas: int = 5
    nodes: int = 150

    @property
    def pods(self) -> int:
        """Of all Deployments together."""
        return self.deployments * self.replicas


def parse(argv: Sequence[str]) -> Size:
    """The table's flags; exits on a wrong one. Nodes are as many as the pods need."""
    whole = Size()
    parser = argparse.ArgumentParser(prog="pilothouse bench controllers", description=__doc__)
    parser.add_argument("--deployments", type=int, default=whole.deployments, metavar="N")
    parser.add_argument("--replicas", type=int, default=whole.replicas, metavar="N")
    parser.add_argument("--nodes", type=int, metavar="N")
    flags = parser.parse_args(argv)
    needed = math.ceil(flags.deployments * flags.replicas / PODS_ON_A_NODE)
    return Size(flags.deployments, flags.replicas, flags.nodes or max(needed, 2))


@dataclass(slots=True)
class Bench:
    """What all phases share, and the phases in their order."""

    size: Size
    cluster: Cluster
    deployments: Counted[Deployment]
    pods: Counted[Pod]
    rows: list[Row] = field(default_factory=list)

    async def create(self) -> None:
        """Until all Deployments and their pods run."""
        size = self.size
        name = f"{size.deployments:,} Deployments and their pods run"
        everything = size.pods + 2 * size.deployments
        await self._phase(name, everything, _create, self._all_counted)
        self.rows += [
            Row("all of them run", f"{who} MB", item.resident_mb())
            for who, item in self.cluster.running.items()
        ]

    async def roll(self) -> None:
        """Until all have pods of another template, and no others."""
        self.deployments.count_by(_is_rolled)
        changed = self.size.pods + self.size.deployments
        await self._phase("all rolled over", changed, _roll, self._all_counted)

    async def delete(self) -> None:
        """Until nothing is left of them, nor of the ReplicaSets of before."""
        gone = self.size.pods + 3 * self.size.deployments
        await self._phase("all deleted", gone, _delete, lambda: not len(self.deployments.cache), 0)

    async def idle(self) -> None:
        """Nodes' heartbeats first; then the nodes say nothing, for less than their grace."""
        simulation = self.cluster.running["simulate"].pid
        for name in ("idle, nodes renew their leases", "idle, nothing changes"):
            before = self.cluster.used()
            await SystemClock().sleep(IDLE_SECONDS)
            used = self.cluster.used()
            self.rows += [
                Row(name, f"{who} % of a core", (used[who] - before[who]) / IDLE_SECONDS * PERCENT)
                for who in used
            ]
            os.kill(simulation, signal.SIGSTOP if name.endswith("leases") else signal.SIGCONT)

    async def _phase(
        self, name: str, objects: int, act: Act, holds: Callable[[], bool], pods: int | None = None
    ) -> None:
        """Do it, wait until all has followed and ``pods`` are there; write down what it cost."""
        wanted = self.size.pods if pods is None else pods
        names = [f"web-{number}" for number in range(self.size.deployments)]
        before, began = self.cluster.used(), SystemClock().monotonic()
        async with told(name, self.deployments.sentence, self.pods.sentence):
            await each(names, lambda one: act(self.cluster.objects, one, self.size.replicas))
            await self.deployments.wait(holds)
            await self.pods.wait(lambda: len(self.pods.cache) == wanted)
        took, used = SystemClock().monotonic() - began, self.cluster.used()
        self.rows.append(Row(name, "s", took, note=f"{objects / took:,.0f} objects/s"))
        self.rows += [
            Row(name, f"{who} us each", (used[who] - before[who]) / objects * US) for who in used
        ]

    def _all_counted(self) -> bool:
        return len(self.deployments.keys) == self.size.deployments


@dataclass(frozen=True, slots=True)
class Pass:
    """A look at every key: how many there were, and what it took, in seconds."""

    keys: int
    writes: int
    synced: float
    took: float
    cpu: float


def _is_whole(deployment: Deployment) -> bool:
    """All its pods are of the present template, and available."""
    status, wanted = deployment.status, deployment.spec.replicas
    numbers = (status.replicas, status.updated_replicas, status.available_replicas)
    looked_at = status.observed_generation == deployment.metadata.generation
    return looked_at and numbers == (wanted, wanted, wanted)


def _is_rolled(deployment: Deployment) -> bool:
    return deployment.metadata.generation > 1 and _is_whole(deployment)


@contextlib.asynccontextmanager
async def opened(size: Size) -> AsyncIterator[Bench]:
    """A cluster with its nodes Ready, and nothing on them."""
    async with (
        cluster.opened() as ours,
        ours.managed(),
        ours.joined("simulate", f"--nodes={size.nodes}"),
    ):
        nodes = Counted(ours.objects, NODES, Node, cluster.is_open, Selection())
        async with followed(nodes):
            await nodes.wait(lambda: len(nodes.keys) == size.nodes)
        bench = Bench(
            size,
            ours,
            Counted(ours.objects, DEPLOYMENTS, Deployment, _is_whole, INSIDE),
            Counted(ours.objects, PODS, Pod, lambda pod: pod.status.phase == "Running", INSIDE),
        )
        async with followed(bench.deployments), followed(bench.pods):
            yield bench


async def run(size: Size | None = None) -> list[Row]:
    """All rows, on a fresh API server."""
    async with opened(size or Size()) as bench:
        await bench.create()
        await SystemClock().sleep(SETTLE_SECONDS)
        await bench.idle()
        one = await look_at_all(bench.cluster.channel)
        note = f"{one.keys:,} keys, {one.cpu:.2f} s of CPU, {one.writes} writes"
        bench.rows.append(Row("one pass with nothing to do", "s", one.took, note=note))
        bench.rows.append(Row("caches filled for it", "s", one.synced))
        await bench.roll()
        await bench.delete()
        return bench.rows


class _Counting(Objects):
    """Counts writes but those of events: a manager that begins tells that it knows the nodes."""

    def __init__(self, channel: aio.Channel) -> None:
        super().__init__(channel, before_write=self._count)
        self.writes = 0

    def _count(self) -> None:
        self.writes += 1

    @override
    async def create_many(self, births: Sequence[Birth]) -> Sequence[ApiError | None]:
        self.writes -= 1
        return await super().create_many(births)


async def look_at_all(channel: aio.Channel) -> Pass:
    """Every controller looks at every key once."""
    objects = _Counting(channel)
    world = World(objects, SystemClock())
    settings = manager.Settings(certificate="", cluster_cidr=None)
    built = manager.build(world, settings, manager.chosen(["*"]))
    async with asyncio.TaskGroup() as group:
        following = group.create_task(world.run())
        began = SystemClock().monotonic()
        await world.wait_synced()
        synced = SystemClock().monotonic()
        queues = [controller.loop.queue for controller in built.values()]
        keys, used = sum(map(len, queues)), time.process_time()
        leading = group.create_task(manager.lead(world, built.values()))
        await _emptied(queues)
        took, cpu = SystemClock().monotonic() - synced, time.process_time() - used
        leading.cancel()
        following.cancel()
    return Pass(keys, objects.writes, synced - began, took, cpu)


async def _emptied(queues: Sequence[WorkQueue[Key]]) -> None:
    while any(len(queue) or queue.working for queue in queues):
        await SystemClock().sleep(0.01)


async def _create(objects: Objects, name: str, replicas: int) -> None:
    template = schedule.pod(0, "plain")
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"name": name}},
            "template": {"metadata": {"labels": {"name": name}}, "spec": template["spec"]},
        },
    }
    await objects.create(DEPLOYMENTS, NAMESPACE, body)


async def _roll(objects: Objects, name: str, _: int) -> None:
    again = {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "now"}}}
    await objects.patch(DEPLOYMENTS, Key(NAMESPACE, name), {"spec": {"template": again}})


async def _delete(objects: Objects, name: str, _: int) -> None:
    await objects.delete(DEPLOYMENTS, Key(NAMESPACE, name))
