"""The scheduler's table: decisions alone, then pods from created to bound through an API server.

Decisions are made in this process on empty nodes of 32 cores. End to end, the API server and the
scheduler are processes of their own, and this one creates the pods and watches them get nodes.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from pilothouse.ops.bench import cluster
from pilothouse.ops.bench.cluster import NAMESPACE
from pilothouse.ops.bench.rows import Row
from pilothouse.services.machinery.kinds.nodes import Node
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import NODES, PODS, SERVICE_ACCOUNTS
from pilothouse.services.runtime.client.cache import Cache
from pilothouse.services.runtime.client.objects import Objects
from pilothouse.services.runtime.clock import SystemClock
from pilothouse.services.scheduler import candidate, views
from pilothouse.services.scheduler.scheduler import Scheduler

CREATES_AT_A_TIME = 32
BOUND_SECONDS_MAX = 120.0
ZONES = 3
PROBE_NAMESPACE = "kube-system"


@dataclass(frozen=True, slots=True)
class Work:
    """Pods of one shape onto a number of nodes; rates as Kubernetes reached and as we want."""

    name: str
    nodes: int
    pods: int
    shape: str = "plain"
    theirs: float | None = None
    goal: float = 1000.0


WORKS = (
    Work("3,000 plain pods, 1,000 nodes", 1000, 3000, theirs=343),
    Work("3,000 plain pods, 5,000 nodes", 5000, 3000, theirs=318),
    Work("1,500 pods, zone spread, 5,000 nodes", 5000, 1500, "spread", theirs=171),
    Work("800 pods, anti-affinity by host, 1,000 nodes", 1000, 800, "apart", theirs=211),
)


def node(number: int) -> dict[str, Any]:
    """An empty node of 32 cores in one of three zones."""
    name = f"node-{number}"
    labels = {
        "kubernetes.io/hostname": name,
        "topology.kubernetes.io/zone": f"zone-{number % ZONES}",
    }
    amounts = {"cpu": "32", "memory": "256Gi", "ephemeral-storage": "100Gi", "pods": "110"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": {},
        "status": {
            "capacity": amounts,
            "allocatable": amounts,
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
        },
    }


def pod(number: int, shape: str, namespace: str = NAMESPACE) -> dict[str, Any]:
    """A pod of 100 millicores and 500 MB, alone or tied to its like."""
    labels = {"app": shape}
    selector = {"matchLabels": labels}
    spec: dict[str, Any] = {
        "containers": [
            {
                "name": "pause",
                "image": "registry.k8s.io/pause:3.10",
                "resources": {"requests": {"cpu": "100m", "memory": "500Mi"}},
            }
        ]
    }
    if shape == "spread":
        spec["topologySpreadConstraints"] = [
            {
                "maxSkew": 5,
                "topologyKey": "topology.kubernetes.io/zone",
                "whenUnsatisfiable": "DoNotSchedule",
                "labelSelector": selector,
            }
        ]
    if shape == "apart":
        term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": selector}
        spec["affinity"] = {
            "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
        }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"{shape}-{number}", "namespace": namespace, "labels": labels},
        "spec": spec,
    }


async def run() -> list[Row]:
    """All rows; the works end to end each against a fresh API server."""
    rows = [decisions(work) for work in WORKS]
    for work in WORKS:
        rows += await end_to_end(work)
    return rows


def decisions(work: Work) -> Row:
    """Decide for all pods, each counted before the next; the rate alone."""
    clock, scheduler = SystemClock(), Scheduler()
    for number in range(work.nodes):
        scheduler.put_node(msgspec.convert(node(number), Node), 0)
    pods = [
        candidate.from_pod(msgspec.convert(pod(number, work.shape), views.Pod))
        for number in range(work.pods)
    ]
    began = clock.monotonic()
    for item in pods:
        scheduler.put_waiting(item)
    while (outcome := scheduler.decide(0)) is not None:
        if outcome.decision.refusals is not None:
            raise RuntimeError(f"{outcome.pod.key}: {outcome.decision.refusals.sentence()}")
    rate = work.pods / (clock.monotonic() - began)
    return Row(f"decisions alone: {work.name}", "pods/s", rate, goal=5000)


async def end_to_end(work: Work) -> list[Row]:
    """Create the pods, 32 at a time, and wait until the last one has its node."""
    async with cluster.opened() as ours:
        objects = ours.objects
        for namespace in (NAMESPACE, PROBE_NAMESPACE):
            account = {"kind": "ServiceAccount", "metadata": {"name": "default"}}
            await objects.create(SERVICE_ACCOUNTS, namespace, account)
        await _each(work.nodes, lambda number: _create_node(objects, number))
        bound, probe = _Bound(NAMESPACE, work.pods), _Bound(PROBE_NAMESPACE, 1)
        watch = Cache(objects, PODS, Pod)
        for seen in (bound, probe):
            watch.on_change(seen.see)
        async with ours.joined("scheduler") as scheduler, asyncio.TaskGroup() as group:
            following = group.create_task(watch.run())
            # One pod that gets a node says that the scheduler has seen the nodes.
            await _create_pod(objects, 0, "plain", PROBE_NAMESPACE)
            await probe.wait()
            before, began = ours.used(), SystemClock().monotonic()
            await _each(work.pods, lambda number: _create_pod(objects, number, work.shape))
            await bound.wait()
            took, after = SystemClock().monotonic() - began, ours.used()
            following.cancel()
            resident = scheduler.resident_mb()
    return [
        Row(work.name, "pods/s", work.pods / took, theirs=work.theirs, goal=work.goal),
        *(
            Row(work.name, f"{who} us", (after[who] - before[who]) / work.pods * 1e6)
            for who in ("scheduler", "server")
        ),
        Row(work.name, "scheduler MB", resident, theirs=468, goal=200),
    ]


class _Bound:
    """Waits for pods of a namespace to have a node."""

    def __init__(self, namespace: str, wanted: int) -> None:
        self._namespace = namespace
        self._wanted = wanted
        self._all = asyncio.Event()
        self._keys: set[Key] = set()

    def see(self, _: Pod | None, pod: Pod | None) -> None:
        """Count a pod; the handler of a cache."""
        if pod is None or not pod.spec.node_name or pod.metadata.namespace != self._namespace:
            return
        self._keys.add(pod.metadata.key)
        if len(self._keys) == self._wanted:
            self._all.set()

    async def wait(self) -> None:
        """Until all have one; TimeoutError says how many have."""
        try:
            async with asyncio.timeout(BOUND_SECONDS_MAX):
                await self._all.wait()
        except TimeoutError:
            raise TimeoutError(f"{len(self._keys)} of {self._wanted} pods were bound") from None


async def _create_node(objects: Objects, number: int) -> None:
    made = node(number)
    await objects.create(NODES, "", made)
    key = Key("", made["metadata"]["name"])
    await objects.patch(NODES, key, {"status": made["status"]}, subresource="status")
    # A new node is tainted until somebody says that it is ready; here nobody else is.
    await objects.patch(NODES, key, {"spec": {"taints": None}})


async def _create_pod(
    objects: Objects, number: int, shape: str, namespace: str = NAMESPACE
) -> None:
    await objects.create(PODS, namespace, pod(number, shape, namespace))


async def _each(count: int, act: Callable[[int], Awaitable[None]]) -> None:
    """Act on every number below ``count``, 32 at a time."""
    numbers = iter(range(count))

    async def work() -> None:
        for number in numbers:
            await act(number)

    async with asyncio.TaskGroup() as group:
        for _ in range(CREATES_AT_A_TIME):
            group.create_task(work())
