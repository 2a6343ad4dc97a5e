"""A manager that takes over acts on what is, not on what it saw while the other led."""

import asyncio

from pilothouse.ops.simulation import loop, members
from pilothouse.ops.simulation.faults import USER
from pilothouse.ops.simulation.members import Member
from pilothouse.ops.simulation.network import Line, Network
from pilothouse.ops.simulation.server import Server
from pilothouse.ops.simulation.state import State
from pilothouse.services.machinery.resources import REPLICA_SETS
from pilothouse.services.runtime.client.objects import Objects

BLIND = "controllers-b"
REPLICAS = 3
TRAVEL_SECONDS = 0.001
FOR_GOOD = 1e6


class Blindness:
    """The standby hears of no pod on the watch that it opened first."""

    def __init__(self):
        self.streams = set()

    async def before(self, caller, method, request):
        await asyncio.sleep(TRAVEL_SECONDS)

    async def after(self, caller, method, request):
        await asyncio.sleep(TRAVEL_SECONDS)

    async def deliver(self, caller, request):
        await asyncio.sleep(TRAVEL_SECONDS)
        if caller == BLIND and request.resource.resource == "pods":
            self.streams.add(id(request))
            if len(self.streams) == 1 and asyncio.get_running_loop().time() > 1.0:
                await asyncio.sleep(FOR_GOOD)


async def scenario(running):
    clock, state, made = loop.VirtualClock(running), State(), []

    def committed(changes):
        for change in changes:
            step = state.apply(change)
            if step is not None and step.plural == "pods" and step.old is None:
                made.append(step.key.name)

    network = Network(Blindness())
    server = Server(network, clock, committed)
    async with asyncio.TaskGroup() as outer:
        serving = outer.create_task(server.run())
        await server.up.wait()
        async with asyncio.TaskGroup() as group:
            first = Member("controllers-a", members.controllers, network, clock)
            tasks = [group.create_task(first.run())]
            await clock.sleep(0.5)
            second = Member(BLIND, members.controllers, network, clock)
            tasks.append(group.create_task(second.run()))
            await clock.sleep(1.0)
            labels = {"app": "web"}
            spec = {
                "replicas": REPLICAS,
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {"containers": [{"name": "c", "image": "i"}]},
                },
            }
            body = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "spec": spec}
            objects = Objects(Line(network, USER).channel())
            await objects.create(REPLICA_SETS, "default", {**body, "metadata": {"name": "web"}})
            await clock.sleep(2.0)
            assert len(made) == REPLICAS
            first.kill(FOR_GOOD)
            await clock.sleep(40.0)
            for task in tasks:
                task.cancel()
        serving.cancel()
    return second.incarnation, state, made


def test_the_next_leader_makes_no_pod_twice():
    _, state, made = loop.run(scenario, 1)
    lease = state.get("leases", members.LEASES["controllers"])
    assert lease["spec"]["leaseTransitions"] >= 1
    assert len(made) == REPLICAS
