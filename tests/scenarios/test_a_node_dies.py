"""A node is cut off, at everybody's usual times: its pods run elsewhere when they are said to.

Of a StatefulSet's pod there is one, whatever nobody knows of the node.
"""

import asyncio
from dataclasses import dataclass, field

import grpc
import pytest

from pilothouse.ops.simulation import bodies, loop, members
from pilothouse.ops.simulation.faults import USER
from pilothouse.ops.simulation.invariants import identity
from pilothouse.ops.simulation.members import Member
from pilothouse.ops.simulation.network import Broken, Line, Network
from pilothouse.ops.simulation.server import Server
from pilothouse.ops.simulation.state import State, is_active, is_ready
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import DEPLOYMENTS, NODES, STATEFUL_SETS
from pilothouse.services.runtime.client.objects import Objects

TRAVEL_SECONDS = 0.001
GRACE_SECONDS, PATIENCE_SECONDS, START_SECONDS = 50.0, 300.0, 15.0
"""How long a node may be silent, how long pods bear that, and what a new one takes to run."""
LONG_SECONDS = 900.0
OFF = {"key": "node.kubernetes.io/out-of-service", "value": "off", "effect": "NoExecute"}


@dataclass
class Cut:
    """No call of these gets through, nor any news to them."""

    callers: set = field(default_factory=set)

    async def before(self, caller, method, request):
        await asyncio.sleep(TRAVEL_SECONDS)
        if caller in self.callers:
            raise Broken(grpc.StatusCode.UNAVAILABLE, "cut off")

    async def after(self, caller, method, request):
        await self.before(caller, method, request)

    async def deliver(self, caller, request):
        await self.before(caller, "", request)


@dataclass
class Cluster:
    """Three hollow nodes; ``doubles`` are pods that ran twice at some time."""

    clock: loop.VirtualClock
    objects: Objects
    cut: Cut
    state: State
    runtimes: dict = field(default_factory=dict)
    members: dict = field(default_factory=dict)
    doubles: list = field(default_factory=list)

    async def watch(self):
        while True:
            await self.clock.sleep(1.0)
            self.doubles += await identity.doubles(self.runtimes, self.state)

    def pods(self, app, holds=lambda _: True):
        return [
            pod
            for pod in self.state.all("pods").values()
            if pod["metadata"].get("labels", {}).get("app") == app and holds(pod)
        ]

    async def until(self, holds, limit):
        """Seconds until that holds; fails after ``limit``."""
        begun = self.clock.monotonic()
        while not holds():
            assert self.clock.monotonic() - begun < limit
            await self.clock.sleep(0.5)
        return self.clock.monotonic() - begun

    def condition(self, node):
        told = self.state.get("nodes", Key("", node))["status"]["conditions"]
        return next(item for item in told if item["type"] == "Ready")


def where(pod):
    return pod["spec"].get("nodeName")


def is_whole(pod):
    return is_active(pod) and is_ready(pod)


async def play(running, scenario):
    clock, state, cut = loop.VirtualClock(running), State(), Cut()
    network = Network(cut)
    server = Server(network, clock, lambda changes: [state.apply(change) for change in changes])
    cluster = Cluster(clock, Objects(Line(network, USER).channel()), cut, state)
    mains = {"controllers-a": members.controllers, "scheduler": members.scheduler}
    mains |= {f"node-{n}": members.node(n, cluster.runtimes) for n in range(3)}
    async with asyncio.TaskGroup() as outer:
        serving = outer.create_task(server.run())
        await server.up.wait()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(cluster.watch())]
            for name, main in mains.items():
                cluster.members[name] = Member(name, main, network, clock)
                tasks.append(group.create_task(cluster.members[name].run()))
            await cluster.until(lambda: len(cluster.runtimes) == 3, 60)
            await prepare(cluster)
            await scenario(cluster)
            for task in tasks:
                task.cancel()
        serving.cancel()
    assert not cluster.doubles


async def prepare(cluster):
    """A Deployment and a StatefulSet on all nodes."""
    for app, resource in (("web", DEPLOYMENTS), ("db", STATEFUL_SETS)):
        labels = {"app": app}
        spec = {"replicas": 3, "selector": {"matchLabels": labels},
                "template": bodies.template(labels, 1)}  # fmt: skip
        if resource is STATEFUL_SETS:
            spec |= {"serviceName": app, "podManagementPolicy": "Parallel"}
        body = bodies.workload(resource.kind, app, spec)
        await cluster.objects.create(resource, "default", body)
    for app in ("web", "db"):
        await cluster.until(lambda app=app: len(cluster.pods(app, is_whole)) == 3, 60)
    await cluster.clock.sleep(60.0)


def lost(cluster):
    """A node that has a pod of the StatefulSet, which is cut off from now on."""
    pod = cluster.pods("db")[0]
    cluster.cut.callers.add(where(pod))
    return where(pod), pod


async def a_node_is_cut_off_for_long(cluster):
    node, pod = lost(cluster)
    name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
    silent = await cluster.until(lambda: cluster.condition(node)["status"] == "Unknown", 70)
    assert GRACE_SECONDS - 10 <= silent <= GRACE_SECONDS + 1
    assert cluster.condition(node)["reason"] == "NodeStatusUnknown"
    # Nobody is led to its pods any more, and nobody has given them up yet.
    await cluster.clock.sleep(1.0)
    assert not cluster.pods("web", lambda pod: where(pod) == node and is_whole(pod))
    assert len(cluster.pods("db")) == 3

    def elsewhere():
        return len(cluster.pods("web", lambda pod: is_whole(pod) and where(pod) != node)) == 3

    moved = await cluster.until(elsewhere, PATIENCE_SECONDS + START_SECONDS)
    assert moved >= PATIENCE_SECONDS - 2
    # The StatefulSet's is asked to go, and stays until it is known to have gone.
    await cluster.clock.sleep(LONG_SECONDS)
    [kept] = [item for item in cluster.pods("db") if item["metadata"]["name"] == name]
    assert kept["metadata"]["uid"] == uid
    assert "deletionTimestamp" in kept["metadata"]
    cluster.cut.callers.clear()

    def again():
        return cluster.pods("db", lambda pod: is_whole(pod) and pod["metadata"]["uid"] != uid
                            and pod["metadata"]["name"] == name)  # fmt: skip

    await cluster.until(again, 120)
    await cluster.until(lambda: cluster.condition(node)["status"] == "True", 60)
    taints = cluster.state.get("nodes", Key("", node))["spec"].get("taints")
    assert not taints
    assert len(cluster.pods("web", is_whole)) == 3


async def a_machine_is_off_and_somebody_says_so(cluster):
    node, pod = lost(cluster)
    uid, name = pod["metadata"]["uid"], pod["metadata"]["name"]
    cluster.members[node].kill(100 * LONG_SECONDS)
    await cluster.until(lambda: cluster.condition(node)["status"] == "Unknown", 70)
    held = cluster.state.get("nodes", Key("", node))["spec"]["taints"]
    await cluster.objects.patch(NODES, Key("", node), {"spec": {"taints": [*held, OFF]}})

    def again():
        return cluster.pods("db", lambda pod: is_whole(pod) and pod["metadata"]["uid"] != uid
                            and pod["metadata"]["name"] == name)  # fmt: skip

    await cluster.until(again, START_SECONDS)
    assert len(cluster.pods("web", is_whole)) == 3


async def a_node_is_taken_out_of_the_cluster(cluster):
    node, pod = lost(cluster)
    uid = pod["metadata"]["uid"]
    cluster.members[node].kill(100 * LONG_SECONDS)
    await cluster.clock.sleep(1.0)
    await cluster.objects.delete(NODES, Key("", node))

    def whole():
        found = [*cluster.pods("db", is_whole), *cluster.pods("web", is_whole)]
        return len(found) == 6 and all(
            where(pod) != node and pod["metadata"]["uid"] != uid for pod in found
        )

    waited = await cluster.until(whole, 40.0 + START_SECONDS)
    assert waited >= 39.0


@pytest.mark.parametrize(
    "scenario",
    [
        a_node_is_cut_off_for_long,
        a_machine_is_off_and_somebody_says_so,
        a_node_is_taken_out_of_the_cluster,
    ],
    ids=lambda scenario: scenario.__name__,
)
def test_pods_of_a_lost_node_run_elsewhere_in_time_and_never_twice(scenario):
    loop.run(lambda running: play(running, scenario), 1)
