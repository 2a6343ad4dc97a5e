"""The controllers' table: 2,000 Deployments of 10,000 pods come, are rolled over, rest, and go.

API server, controllers, scheduler and hollow nodes are processes of their own; this one does what
the owners do, and watches. A pass is what a manager does that takes over: it looks at every object
once, here with nothing to do. It runs in this process, beside the manager that leads.
"""

import argparse
import asyncio
import math
import os
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from grpc import aio

from pilothouse.ops.bench import cluster, schedule
from pilothouse.ops.bench.cluster import NAMESPACE, Cluster, Counted, Used, each, followed, told
from pilothouse.ops.bench.rows import Row
from pilothouse.services.controllers import manager
from pilothouse.services.controllers.adapters.world import World
from pilothouse.services.machinery.kinds.nodes import Node
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.kinds.workloads import Deployment
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import DEPLOYMENTS, NODES, PODS
from pilothouse.services.runtime.client.objects import Objects, Selection
from pilothouse.services.runtime.clock import SystemClock
from pilothouse.services.runtime.control.queue import WorkQueue

PODS_ON_A_NODE = 67
"""Of the 110 that fit: while all are rolled over there are more, and some that still leave."""
SETTLE_SECONDS = 5.0
IDLE_SECONDS = 30.0
PERCENT = 100.0
US = 1e6
Holds = Callable[[Counted[Deployment]], bool]
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
class _Bench:
    """What all phases share."""

    size: Size
    cluster: Cluster
    deployments: Counted[Deployment]
    pods: Counted[Pod]
    rows: list[Row] = field(default_factory=list)

    async def phase(
        self, name: str, objects: int, work: Awaitable[None], holds: Holds, pods: int
    ) -> None:
        """Do it, wait until all has followed and ``pods`` are there; write down what it cost."""
        before, began = self.cluster.used(), SystemClock().monotonic()
        async with told(name, self.deployments.sentence, self.pods.sentence):
            await work
            await self.deployments.wait(lambda: holds(self.deployments))
            await self.pods.wait(lambda: len(self.pods.cache) == pods)
        took = SystemClock().monotonic() - began
        note = f"{objects / took:,.0f} objects/s"
        self.rows.append(Row(name, "s", took, note=note))
        self._tell_used(name, before, objects)

    def all_counted(self, deployments: Counted[Deployment]) -> bool:
        """Whether every Deployment is as it shall be."""
        return len(deployments.keys) == self.size.deployments

    def _tell_used(self, name: str, before: Used, objects: int) -> None:
        used = self.cluster.used()
        self.rows += [
            Row(name, f"{who} us each", (used[who] - before[who]) / objects * US) for who in used
        ]


def _is_whole(deployment: Deployment) -> bool:
    """All its pods are of the present template, and available."""
    status, wanted = deployment.status, deployment.spec.replicas
    numbers = (status.replicas, status.updated_replicas, status.available_replicas)
    looked_at = status.observed_generation == deployment.metadata.generation
    return looked_at and numbers == (wanted, wanted, wanted)


def _is_rolled(deployment: Deployment) -> bool:
    return deployment.metadata.generation > 1 and _is_whole(deployment)


async def run(size: Size | None = None) -> list[Row]:
    """All rows, on a fresh API server."""
    size = size or Size()
    async with (
        cluster.opened() as ours,
        ours.managed(),
        ours.joined("simulate", f"--nodes={size.nodes}"),
    ):
        nodes = Counted(ours.objects, NODES, Node, cluster.is_open, Selection())
        bench = _Bench(
            size,
            ours,
            Counted(ours.objects, DEPLOYMENTS, Deployment, _is_whole, INSIDE),
            Counted(ours.objects, PODS, Pod, lambda pod: pod.status.phase == "Running", INSIDE),
        )
        async with followed(nodes):
            await nodes.wait(lambda: len(nodes.keys) == size.nodes)
        async with followed(bench.deployments), followed(bench.pods):
            await _measure(bench, ours.channel)
        return bench.rows


async def _measure(bench: _Bench, channel: aio.Channel) -> None:
    size = bench.size
    everything = size.pods + 2 * size.deployments
    await bench.phase(
        f"{size.deployments:,} Deployments and their pods run",
        everything,
        _each(bench, _create),
        bench.all_counted,
        size.pods,
    )
    bench.rows += [
        Row("all of them run", f"{name} MB", item.resident_mb())
        for name, item in bench.cluster.running.items()
    ]
    await SystemClock().sleep(SETTLE_SECONDS)
    await _idle(bench)
    await _passes(bench, channel)
    bench.deployments.count_by(_is_rolled)
    await bench.phase(
        "all rolled over",
        size.pods + size.deployments,
        _each(bench, _roll),
        bench.all_counted,
        size.pods,
    )
    await bench.phase(
        "all deleted",
        everything + size.deployments,
        _each(bench, _delete),
        lambda gone: not len(gone.cache),
        0,
    )


async def _idle(bench: _Bench) -> None:
    """Nodes' heartbeats first; then the nodes say nothing, for less than their grace."""
    simulation = bench.cluster.running["simulate"].pid
    for name in ("idle, nodes renew their leases", "idle, nothing changes"):
        before = bench.cluster.used()
        await SystemClock().sleep(IDLE_SECONDS)
        used = bench.cluster.used()
        bench.rows += [
            Row(name, f"{who} % of a core", (used[who] - before[who]) / IDLE_SECONDS * PERCENT)
            for who in used
        ]
        os.kill(simulation, signal.SIGSTOP if name.endswith("leases") else signal.SIGCONT)


async def _passes(bench: _Bench, channel: aio.Channel) -> None:
    """Every controller looks at every key once, without anything to do."""
    writes = 0

    def count() -> None:
        nonlocal writes
        writes += 1

    world = World(Objects(channel, before_write=count), SystemClock())
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
    note = f"{keys:,} keys, {cpu:.2f} s of CPU, {writes} writes"
    bench.rows.append(Row("one pass with nothing to do", "s", took, note=note))
    bench.rows.append(Row("caches filled for it", "s", synced - began))


async def _emptied(queues: Sequence[WorkQueue[Key]]) -> None:
    while any(len(queue) or queue.working for queue in queues):
        await SystemClock().sleep(0.01)


async def _each(bench: _Bench, act: Callable[[Objects, str, int], Awaitable[None]]) -> None:
    names = [f"web-{number}" for number in range(bench.size.deployments)]
    objects, replicas = bench.cluster.objects, bench.size.replicas
    await each(names, lambda name: act(objects, name, replicas))


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
