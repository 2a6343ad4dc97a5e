"""The simulation's table: 5,000 nodes from nothing to Ready, 10,000 pods to Running and away.

API server, controllers, scheduler and the simulation are processes of their own; this one creates
and deletes the pods, and watches. KWOK's own CI asks for a minute for each of the four.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from pilothouse.ops.bench import cluster, schedule
from pilothouse.ops.bench.cluster import NAMESPACE, Cluster, Counted, Used, each, followed, told
from pilothouse.ops.bench.rows import Row
from pilothouse.services.machinery.kinds.nodes import Node
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import NODES, PODS
from pilothouse.services.runtime.client.objects import Selection
from pilothouse.services.runtime.clock import SystemClock

THEIRS_SECONDS, GOAL_SECONDS = 60.0, 30.0
HEARTBEAT_SECONDS = 30.0
"""Until every node has renewed its lease for the second time, and all do it at their pace."""
MEASURED_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Size:
    """How many of each."""

    nodes: int = 5_000
    pods: int = 10_000


def parse(argv: Sequence[str]) -> Size:
    """The table's flags; exits on a wrong one."""
    whole = Size()
    parser = argparse.ArgumentParser(prog="pilothouse bench simulate", description=__doc__)
    parser.add_argument("--nodes", type=int, default=whole.nodes, metavar="N")
    parser.add_argument("--pods", type=int, default=whole.pods, metavar="N")
    flags = parser.parse_args(argv)
    return Size(flags.nodes, flags.pods)


async def run(size: Size | None = None) -> list[Row]:
    """All rows, on a fresh API server."""
    async with cluster.opened() as ours, ours.managed():
        nodes = Counted(ours.objects, NODES, Node, cluster.is_open, Selection())
        inside = Selection(namespace=NAMESPACE)
        pods = Counted(ours.objects, PODS, Pod, lambda pod: pod.status.phase == "Running", inside)
        async with followed(nodes), followed(pods), told("simulate", nodes.sentence, pods.sentence):
            return await _measure(ours, nodes, pods, size or Size())


async def _measure(
    ours: Cluster, nodes: Counted[Node], pods: Counted[Pod], size: Size
) -> list[Row]:
    before, began = {**ours.used(), "simulate": 0.0}, SystemClock().monotonic()
    async with ours.joined("simulate", f"--nodes={size.nodes}"):
        await nodes.wait(lambda: len(nodes.keys) == size.nodes)
        rows = _rows_of(f"{size.nodes:,} nodes Ready", size.nodes, began, before, ours)
        rows += await _heartbeats(ours, size)

        async def create(number: int) -> None:
            await ours.objects.create(PODS, NAMESPACE, schedule.pod(number, "plain"))

        async def delete(key: Key) -> None:
            await ours.objects.delete(PODS, key)

        before, began = ours.used(), SystemClock().monotonic()
        await each(range(size.pods), create)
        await pods.wait(lambda: len(pods.keys) == size.pods)
        rows += _rows_of(f"{size.pods:,} pods Running", size.pods, began, before, ours)
        memory = [
            Row(f"{size.pods:,} pods Running", f"{name} MB", item.resident_mb())
            for name, item in ours.running.items()
        ]
        before, began = ours.used(), SystemClock().monotonic()
        await each(sorted(pods.keys, key=str), delete)
        await pods.wait(lambda: not len(pods.cache))
        rows += _rows_of(f"{size.pods:,} pods gone", size.pods, began, before, ours)
        return rows + memory


async def _heartbeats(ours: Cluster, size: Size) -> list[Row]:
    """What it costs that nodes live: a lease each in ten seconds."""
    await SystemClock().sleep(HEARTBEAT_SECONDS)
    before = ours.used()
    await SystemClock().sleep(MEASURED_SECONDS)
    after = ours.used()
    return [
        Row(f"{size.nodes:,} nodes idle", f"{name} % of a core",
            (after[name] - before[name]) / MEASURED_SECONDS * 100)
        for name in after
    ]  # fmt: skip


def _rows_of(name: str, count: int, began: float, before: Used, ours: Cluster) -> list[Row]:
    took, after = SystemClock().monotonic() - began, ours.used()
    used = {who: after[who] - before[who] for who in after}
    note = f"the API server was busy for {used['server'] / took:.0%} of it"
    return [
        Row(name, "s", took, theirs=THEIRS_SECONDS, goal=GOAL_SECONDS, note=note),
        *(Row(name, f"{who} us each", seconds / count * 1e6) for who, seconds in used.items()),
    ]
