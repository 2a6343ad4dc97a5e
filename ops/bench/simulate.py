"""The simulation's table: 5,000 nodes from nothing to Ready, 10,000 pods to Running and away.

API server, controllers, scheduler and the simulation are processes of their own; this one creates
and deletes the pods, and watches. KWOK's own CI asks for a minute for each of the four.
"""

import asyncio
import contextlib
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pilothouse.ops.bench import schedule, server
from pilothouse.ops.bench.rows import Row
from pilothouse.services.machinery import conditions
from pilothouse.services.machinery.errors import NotFound
from pilothouse.services.machinery.kinds.nodes import Node
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.objects import Key, Viewed
from pilothouse.services.machinery.resources import NODES, PODS, SERVICE_ACCOUNTS, Resource
from pilothouse.services.runtime.client.cache import Cache
from pilothouse.services.runtime.client.objects import Objects, Selection
from pilothouse.services.runtime.clock import SystemClock
from pilothouse.services.runtime.control import batches
from pilothouse.services.runtime.rpc.channel import open_channel

NODES_COUNT = 5_000
PODS_COUNT = 10_000
POD_CIDR = "10.192.0.0/10"
THEIRS_SECONDS, GOAL_SECONDS = 60.0, 30.0
SECONDS_MAX = 300.0
HEARTBEAT_SECONDS = 30.0
"""Until every node has renewed its lease for the second time, and all do it at their pace."""
MEASURED_SECONDS = 10.0

V = TypeVar("V", bound=Viewed)
Used = dict[str, float]


class Counted(Generic[V]):
    """Watches a kind, and knows how many objects ``is_counted``."""

    def __init__(
        self,
        objects: Objects,
        resource: Resource,
        view: type[V],
        is_counted: Callable[[V], bool],
        selection: Selection,
    ) -> None:
        self._is_counted = is_counted
        self._changed = asyncio.Event()
        self.keys: set[Key] = set()
        self.cache = Cache(objects, resource, view, selection)
        self.cache.on_change(self._see)

    def _see(self, old: V | None, new: V | None) -> None:
        if new is not None and self._is_counted(new):
            self.keys.add(new.metadata.key)
        elif old is not None:
            self.keys.discard(old.metadata.key)
        self._changed.set()

    def count_by(self, is_counted: Callable[[V], bool]) -> None:
        """Count others from now on."""
        self._is_counted = is_counted
        self.keys = {item.metadata.key for item in self.cache.values() if is_counted(item)}

    async def wait(self, holds: Callable[[], bool], seconds_max: float = SECONDS_MAX) -> None:
        """Until ``holds``; TimeoutError says how many were counted."""
        try:
            async with asyncio.timeout(seconds_max):
                while not holds():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise TimeoutError(f"{len(self.keys)} of {len(self.cache)} were counted") from None


@dataclass(frozen=True, slots=True)
class Processes:
    """Who does the work, and what it cost each."""

    running: dict[str, server.Process]

    def used(self) -> Used:
        """CPU seconds so far."""
        return {name: item.cpu_seconds() for name, item in self.running.items()}


def is_open(node: Node) -> bool:
    """Whether the scheduler may send pods there, and they get addresses."""
    ready = conditions.is_true(node.status.conditions, "Ready")
    return ready and not node.spec.taints and bool(node.spec.pod_cidr)


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
        ):  # fmt: skip
            objects = Objects(channel)
            await wait_account(objects)
            everyone = {"server": process, "controllers": controllers, "scheduler": scheduler}
            nodes = Counted(objects, NODES, Node, is_open, Selection())
            inside = Selection(namespace=schedule.NAMESPACE)
            pods = Counted(objects, PODS, Pod, lambda pod: pod.status.phase == "Running", inside)
            async with asyncio.TaskGroup() as group:
                watches = [group.create_task(item.cache.run()) for item in (nodes, pods)]
                await nodes.cache.wait_synced()
                rows = await _measure(folder, objects, Processes(everyone), nodes, pods)
                for watch in watches:
                    watch.cancel()
            return rows


async def _measure(
    folder: Path,
    objects: Objects,
    processes: Processes,
    nodes: Counted[Node],
    pods: Counted[Pod],
) -> list[Row]:
    before = {**processes.used(), "simulation": 0.0}
    began = SystemClock().monotonic()
    async with service(folder, "simulate", f"--nodes={NODES_COUNT}") as simulation:
        processes.running["simulation"] = simulation
        await nodes.wait(lambda: len(nodes.keys) == NODES_COUNT)
        rows = rows_of(f"{NODES_COUNT:,} nodes Ready", NODES_COUNT, began, before, processes)
        rows += await _heartbeats(processes)

        async def create(number: int) -> None:
            body = schedule.pod(number, "plain")
            await objects.create(PODS, schedule.NAMESPACE, body)

        async def delete(key: Key) -> None:
            await objects.delete(PODS, key)

        before, began = processes.used(), SystemClock().monotonic()
        await everyone_did(batches.each(range(PODS_COUNT), create))
        await pods.wait(lambda: len(pods.keys) == PODS_COUNT)
        rows += rows_of(f"{PODS_COUNT:,} pods Running", PODS_COUNT, began, before, processes)
        memory = [
            Row(f"{PODS_COUNT:,} pods Running", f"{name} MB", item.resident_mb())
            for name, item in processes.running.items()
        ]
        before, began = processes.used(), SystemClock().monotonic()
        await everyone_did(batches.each(sorted(pods.keys, key=str), delete))
        await pods.wait(lambda: not len(pods.cache))
        rows += rows_of(f"{PODS_COUNT:,} pods gone", PODS_COUNT, began, before, processes)
        return rows + memory


async def _heartbeats(processes: Processes) -> list[Row]:
    """What it costs that nodes live: a lease each in ten seconds."""
    await SystemClock().sleep(HEARTBEAT_SECONDS)
    before = processes.used()
    await SystemClock().sleep(MEASURED_SECONDS)
    after = processes.used()
    return [
        Row(f"{NODES_COUNT:,} nodes idle", f"{name} % of a core",
            (after[name] - before[name]) / MEASURED_SECONDS * 100)
        for name in after
    ]  # fmt: skip


def rows_of(name: str, count: int, began: float, before: Used, processes: Processes) -> list[Row]:
    took = SystemClock().monotonic() - began
    after = processes.used()
    used = {who: after[who] - before[who] for who in after}
    note = f"the API server was busy for {used['server'] / took:.0%} of it"
    return [
        Row(name, "s", took, theirs=THEIRS_SECONDS, goal=GOAL_SECONDS, note=note),
        *(Row(name, f"{who} us each", seconds / count * 1e6) for who, seconds in used.items()),
    ]


async def everyone_did(work: Awaitable[BaseException | None]) -> None:
    """Raise the first refusal."""
    failure = await work
    if failure is not None:
        raise failure


async def wait_account(objects: Objects) -> None:
    """Until pods can be made: the controllers have made the default account."""
    async with asyncio.timeout(SECONDS_MAX):
        while True:
            try:
                await objects.get(SERVICE_ACCOUNTS, Key(schedule.NAMESPACE, "default"))
            except NotFound:
                await SystemClock().sleep(0.05)
            else:
                return


def service(
    folder: Path, verb: str, *flags: str
) -> contextlib.AbstractAsyncContextManager[server.Process]:
    run_dir = folder / "run"
    shared = [f"--server=unix://{run_dir}/apiserver.sock"]
    if verb != "simulate":
        shared.append(f"--run-dir={run_dir}")
    return server.component(folder, verb, ["pilothouse.ops.cli", verb, *shared, *flags])
