"""A namespace that went and came again under its name is not taken for the one that went."""

import asyncio

from pilothouse.ops.simulation import bodies, loop, members
from pilothouse.ops.simulation.faults import USER
from pilothouse.ops.simulation.members import Member
from pilothouse.ops.simulation.network import Line, Network
from pilothouse.ops.simulation.server import Server
from pilothouse.ops.simulation.state import State
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import (
    CONFIG_MAPS,
    NAMESPACES,
    PODS,
    SERVICE_ACCOUNTS,
)
from pilothouse.services.runtime.client.objects import Objects

TRAVEL_SECONDS, LAG_SECONDS = 0.001, 30.0
NAME = "again"
HELD = Key(NAME, "held")


class Lag:
    """From when it is told to, news of namespaces take long."""

    is_slow = False

    async def before(self, caller, method, request):
        await asyncio.sleep(TRAVEL_SECONDS)

    async def after(self, caller, method, request):
        await asyncio.sleep(TRAVEL_SECONDS)

    async def deliver(self, caller, request):
        slow = self.is_slow and request.resource.resource == "namespaces"
        await asyncio.sleep(LAG_SECONDS if slow else TRAVEL_SECONDS)


async def live_twice(objects, state, lag, clock):
    """The second life of the namespace; who is asked about it still knows only the first."""
    await objects.create(NAMESPACES, "", bodies.named("Namespace", NAME))
    held = bodies.config("held")
    held["metadata"]["finalizers"] = ["example.com/held"]
    await objects.create(CONFIG_MAPS, NAME, held)
    await objects.delete(NAMESPACES, Key("", NAME))
    await clock.sleep(5.0)
    lag.is_slow = True
    await objects.patch(CONFIG_MAPS, HELD, {"metadata": {"finalizers": None}})
    while state.get("namespaces", Key("", NAME)) is not None:
        await clock.sleep(1.0)
    await objects.create(NAMESPACES, "", bodies.named("Namespace", NAME))
    await objects.create(CONFIG_MAPS, NAME, bodies.config("kept"))
    # A pod's end is what makes the controller look at its namespace at once.
    account = bodies.named("ServiceAccount", "default")
    await objects.create(SERVICE_ACCOUNTS, NAME, account)
    pod = {**bodies.named("Pod", "brief"), "spec": bodies.template({}, 1)["spec"]}
    await objects.create(PODS, NAME, pod)
    await clock.sleep(1.0)
    await objects.delete(PODS, Key(NAME, "brief"), grace_period_seconds=0)
    await clock.sleep(1.0)


async def scenario(running):
    clock, state, lag = loop.VirtualClock(running), State(), Lag()

    def committed(changes):
        for change in changes:
            state.apply(change)

    network = Network(lag)
    server = Server(network, clock, committed)
    async with asyncio.TaskGroup() as outer:
        serving = outer.create_task(server.run())
        await server.up.wait()
        async with asyncio.TaskGroup() as group:
            member = Member("controllers-a", members.controllers, network, clock)
            task = group.create_task(member.run())
            await live_twice(Objects(Line(network, USER).channel()), state, lag, clock)
            task.cancel()
        serving.cancel()
    return state


def test_what_is_in_the_second_one_stays():
    state = loop.run(scenario, 1)
    namespace = state.get("namespaces", Key("", NAME))
    assert namespace is not None
    assert namespace["spec"]["finalizers"] == ["kubernetes"]
    assert state.get("configmaps", Key(NAME, "kept")) is not None
