"""The controllers' table: 2,000 Deployments of 10,000 pods come, are rolled over, rest, and go.

API server, controllers, scheduler and hollow nodes are processes of their own; this one does what
the owners do, and watches. A pass is what a manager does that takes over: it looks at every object
once, here with nothing to do. It runs in this process, beside the manager that leads.
"""

import asyncio
import os
import signal
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from grpc import aio

from pilothouse.ops.bench import schedule, server
from pilothouse.ops.bench.rows import Row
from pilothouse.ops.bench.simulate import (
    POD_CIDR,
    Counted,
    Processes,
    Used,
    everyone_did,
    is_open,
    service,
    wait_account,
)
from pilothouse.services.controllers import manager
from pilothouse.services.controllers.adapters.world import World
from pilothouse.services.machinery.kinds.nodes import Node
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.kinds.workloads import Deployment
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import DEPLOYMENTS, NODES, PODS
from pilothouse.services.runtime.client.objects import Objects, Selection
from pilothouse.services.runtime.clock import SystemClock
from pilothouse.services.runtime.control import batches
from pilothouse.services.runtime.control.queue import WorkQueue
from pilothouse.services.runtime.rpc.channel import open_channel

DEPLOYMENTS_COUNT = 2_000
REPLICAS = 5
PODS_COUNT = DEPLOYMENTS_COUNT * REPLICAS
NODES_COUNT = 150
SETTLE_SECONDS = 5.0
PHASE_SECONDS_MAX = 900.0
IDLE_SECONDS = 20.0
PERCENT = 100.0
US = 1e6
Holds = Callable[[Counted[Deployment]], bool]
INSIDE = Selection(namespace=schedule.NAMESPACE)


@dataclass(slots=True)
class _Bench:
    """What all phases share."""

    objects: Objects
    processes: Processes
    deployments: Counted[Deployment]
    pods: Counted[Pod]
    rows: list[Row] = field(default_factory=list)

    async def phase(
        self, name: str, objects: int, work: Awaitable[None], holds: Holds, pods: int
    ) -> None:
        """Do it, wait until all has followed and ``pods`` are there; write down what it cost."""
        before, began = self.processes.used(), SystemClock().monotonic()
        await work
        await self.deployments.wait(lambda: holds(self.deployments), PHASE_SECONDS_MAX)
        await self.pods.wait(lambda: len(self.pods.cache) == pods, PHASE_SECONDS_MAX)
        took = SystemClock().monotonic() - began
        note = f"{objects / took:,.0f} objects/s"
        self.rows.append(Row(name, "s", took, note=note))
        self._tell_used(name, before, objects)

    def _tell_used(self, name: str, before: Used, objects: int) -> None:
        used = self.processes.used()
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


def _all_counted(deployments: Counted[Deployment]) -> bool:
    return len(deployments.keys) == DEPLOYMENTS_COUNT


async def run() -> list[Row]:
    """All rows, on a fresh API server."""
    with tempfile.TemporaryDirectory(prefix="pilothouse-bench-") as name:
        folder = Path(name)
        async with (
            server.running(folder) as (process, _),
            open_channel(f"unix://{folder}/run/apiserver.sock") as channel,
            service(folder, "controllers", f"--cluster-cidr={POD_CIDR}",
                    f"--root-ca-file={folder}/pki/ca.crt") as controllers,
            service(folder, "scheduler") as scheduler,
            service(folder, "simulate", f"--nodes={NODES_COUNT}") as simulation,
        ):  # fmt: skip
            objects = Objects(channel)
            await wait_account(objects)
            everyone = {"controllers": controllers, "server": process, "scheduler": scheduler}
            bench = _Bench(
                objects,
                Processes({**everyone, "simulation": simulation}),
                Counted(objects, DEPLOYMENTS, Deployment, _is_whole, INSIDE),
                Counted(objects, PODS, Pod, lambda pod: pod.status.phase == "Running", INSIDE),
            )
            nodes = Counted(objects, NODES, Node, is_open, Selection())
            async with asyncio.TaskGroup() as group:
                watched = (nodes, bench.deployments, bench.pods)
                watches = [group.create_task(item.cache.run()) for item in watched]
                await nodes.wait(lambda: len(nodes.keys) == NODES_COUNT)
                await _measure(bench, channel)
                for watch in watches:
                    watch.cancel()
            return bench.rows


async def _measure(bench: _Bench, channel: aio.Channel) -> None:
    everything = PODS_COUNT + 2 * DEPLOYMENTS_COUNT
    await bench.phase(
        f"{DEPLOYMENTS_COUNT:,} Deployments and their pods run",
        everything,
        _each(bench, _create),
        _all_counted,
        PODS_COUNT,
    )
    bench.rows += [
        Row("all of them run", f"{name} MB", item.resident_mb())
        for name, item in bench.processes.running.items()
    ]
    await SystemClock().sleep(SETTLE_SECONDS)
    await _idle(bench)
    await _passes(bench, channel)
    bench.deployments.count_by(_is_rolled)
    await bench.phase(
        "all rolled over",
        PODS_COUNT + DEPLOYMENTS_COUNT,
        _each(bench, _roll),
        _all_counted,
        PODS_COUNT,
    )
    await bench.phase(
        "all deleted",
        everything + DEPLOYMENTS_COUNT,
        _each(bench, _delete),
        lambda gone: not len(gone.cache),
        0,
    )


async def _idle(bench: _Bench) -> None:
    """Nodes' heartbeats first; then the nodes say nothing, for less than their grace."""
    simulation = bench.processes.running["simulation"].pid
    for name in ("idle, nodes renew their leases", "idle, nothing changes"):
        before = bench.processes.used()
        await SystemClock().sleep(IDLE_SECONDS)
        used = bench.processes.used()
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


async def _each(bench: _Bench, act: Callable[[Objects, str], Awaitable[None]]) -> None:
    names = [f"web-{number}" for number in range(DEPLOYMENTS_COUNT)]
    await everyone_did(batches.each(names, lambda name: act(bench.objects, name)))


async def _create(objects: Objects, name: str) -> None:
    template = schedule.pod(0, "plain")
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": REPLICAS,
            "selector": {"matchLabels": {"name": name}},
            "template": {"metadata": {"labels": {"name": name}}, "spec": template["spec"]},
        },
    }
    await objects.create(DEPLOYMENTS, schedule.NAMESPACE, body)


async def _roll(objects: Objects, name: str) -> None:
    again = {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "now"}}}
    key = Key(schedule.NAMESPACE, name)
    await objects.patch(DEPLOYMENTS, key, {"spec": {"template": again}})


async def _delete(objects: Objects, name: str) -> None:
    await objects.delete(DEPLOYMENTS, Key(schedule.NAMESPACE, name))
