"""What people do to a simulated cluster while it is in trouble, and how they leave it."""

import random
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from pilothouse.ops.simulation import bodies
from pilothouse.ops.simulation.bodies import Body
from pilothouse.ops.simulation.faults import USER
from pilothouse.ops.simulation.invariants.guards import GUARDED
from pilothouse.ops.simulation.loop import VirtualClock
from pilothouse.ops.simulation.members import Member
from pilothouse.ops.simulation.network import Line, Network
from pilothouse.ops.simulation.state import is_active, is_ready, phase
from pilothouse.services.kubelet.adapters.hollow import course
from pilothouse.services.machinery.errors import ApiError, ServiceUnavailable
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import (
    CONFIG_MAPS,
    CRON_JOBS,
    DAEMON_SETS,
    DEPLOYMENTS,
    JOBS,
    NAMESPACES,
    POD_DISRUPTION_BUDGETS,
    PODS,
    REPLICA_SETS,
    SERVICES,
    STATEFUL_SETS,
    Resource,
)
from pilothouse.services.runtime.client.objects import Objects, Selection

RESOURCE_QUOTAS = Resource("", "v1", "resourcequotas", "ResourceQuota")
PAUSES_SECONDS = (3.0, 12.0)
TRIES_MAX = 60
HEALINGS = 8
HEALING_SECONDS = 30.0
_HEALED = dict.fromkeys((course.STOP_SECONDS, course.EXIT_CODE))
DEAD_SECONDS = (20.0, 400.0)


class Person:
    """One who works in one namespace until ``until``, with draws of their own."""

    def __init__(
        self, network: Network, clock: VirtualClock, name: str, seed: int, until: float
    ) -> None:
        self.name = name
        self.draw = random.Random(f"{seed}/{name}")  # noqa: S311 - no secret
        self.clock = clock
        self.objects = Objects(Line(network, USER).channel())
        self._until = until
        self._pause_seconds = self.draw.choice(PAUSES_SECONDS)

    async def another(self) -> bool:
        """Rest; whether there is time for something more."""
        await self.clock.sleep(self.draw.expovariate(1.0) * self._pause_seconds)
        return self.clock.monotonic() < self._until

    async def settle(self) -> None:
        """In their namespace, which is there once this returns."""
        if self.name != "default":
            await self.create(NAMESPACES, bodies.named("Namespace", self.name))

    async def create(self, resource: Resource, body: Body) -> None:
        """Fine where it is there, or may not be."""
        namespace = self.name if resource.namespaced else ""
        await self._patiently(lambda: self.objects.create(resource, namespace, body))

    async def patch(self, resource: Resource, name: str, patch: Body) -> None:
        """Fine where it is gone."""
        key = Key(self.name, name)
        await self._patiently(lambda: self.objects.patch(resource, key, patch))

    async def delete(self, resource: Resource, name: str, how: str = "") -> None:
        """Fine where it is gone."""
        key = Key(self.name if resource.namespaced else "", name)
        await self._patiently(lambda: self.objects.delete(resource, key, propagation_policy=how))

    async def pods(self, choose: Callable[[Body], bool] = lambda _: True) -> list[str]:
        """Names of those that nobody has asked to go, and that are chosen."""
        texts: Sequence[str] = []

        async def look() -> None:
            nonlocal texts
            texts, _ = await self.objects.list(PODS, Selection(namespace=self.name))

        await self._patiently(look)
        found = [msgspec.json.decode(text) for text in texts]
        return [item["metadata"]["name"] for item in found if choose(item) and is_active(item)]

    async def evict(self, name: str) -> None:
        """As a drain does; the budget may refuse."""
        body = {**bodies.named("Eviction", name), "apiVersion": "policy/v1"}
        await self._patiently(
            lambda: self.objects.create(PODS, self.name, body, name=name, subresource="eviction")
        )

    async def _patiently(self, act: Callable[[], Awaitable[object]]) -> None:
        for _ in range(TRIES_MAX):
            try:
                await act()
            except ServiceUnavailable:
                await self.clock.sleep(0.5)
            except ApiError:
                return
            else:
                return


def is_sick(pod: Body) -> bool:
    """It was started, and is not ready."""
    return phase(pod) == "Running" and not is_ready(pod)


async def deployments(person: Person) -> None:
    """Scale, roll, roll back, pause, delete."""
    await person.settle()
    name, labels = "web", {"app": "web"}
    first = bodies.deployment(person.draw, name, labels)
    await person.create(DEPLOYMENTS, first)
    await person.create(SERVICES, bodies.service(name, labels))
    version = 1
    while await person.another():
        act = person.draw.choice(("scale", "roll", "roll", "back", "pause", "how", "pod", "go"))
        if act == "pod":
            await _take_pod(person)
        elif act == "go":
            propagation = person.draw.choice(("Background", "Foreground", "Orphan"))
            await person.delete(DEPLOYMENTS, name, propagation)
            await person.another()
            await person.create(DEPLOYMENTS, first)
        else:
            version += act == "roll"
            await person.patch(DEPLOYMENTS, name, {"spec": _edit(person, act, labels, version)})
    made = bodies.template(labels, version + 1)
    made["metadata"]["annotations"].update(_HEALED)
    await person.create(DEPLOYMENTS, first)
    await person.patch(DEPLOYMENTS, name, {"spec": {"paused": False, "template": made}})


def _edit(person: Person, act: str, labels: dict[str, str], version: int) -> Body:
    """What an owner of a Deployment changes in its spec."""
    draw = person.draw
    match act:
        case "scale":
            return {"replicas": draw.randint(0, 6)}
        case "roll":
            return {"template": bodies.template(labels, version, bodies.notes(draw))}
        case "back":
            return {"template": bodies.template(labels, draw.randint(1, version))}
        case "pause":
            return {"paused": draw.choice((True, False))}
        case _:
            return {"strategy": bodies.strategy(draw)}


async def statefulsets(person: Person) -> None:
    """Scale, roll, change how, delete a pod, delete all."""
    await person.settle()
    name, labels = "db", {"app": "db"}
    first = bodies.statefulset(person.draw, name, labels)
    await person.create(STATEFUL_SETS, first)
    version = 1
    while await person.another():
        match person.draw.choice(("scale", "scale", "roll", "how", "pod", "go")):
            case "scale":
                replicas = person.draw.randint(0, 5)
                await person.patch(STATEFUL_SETS, name, {"spec": {"replicas": replicas}})
            case "roll":
                version += 1
                made = bodies.template(labels, version, bodies.notes(person.draw))
                await person.patch(STATEFUL_SETS, name, {"spec": {"template": made}})
            case "how":
                how = bodies.stateful_update(person.draw)
                await person.patch(STATEFUL_SETS, name, {"spec": {"updateStrategy": how}})
            case "pod":
                await _take_pod(person)
            case _:
                await person.delete(STATEFUL_SETS, name, "Background")
                await person.another()
                await person.create(STATEFUL_SETS, first)
    await person.create(STATEFUL_SETS, first)
    await _heal(person, STATEFUL_SETS, name, bodies.template(labels, version + 1))


async def daemonsets(person: Person) -> None:
    """Roll, change how, delete a pod."""
    await person.settle()
    name, labels = "agent", {"app": "agent"}
    await person.create(DAEMON_SETS, bodies.daemonset(person.draw, name, labels))
    version = 1
    while await person.another():
        match person.draw.choice(("roll", "roll", "how", "pod")):
            case "roll":
                version += 1
                made = bodies.template(labels, version, bodies.notes(person.draw))
                await person.patch(DAEMON_SETS, name, {"spec": {"template": made}})
            case "how":
                how = bodies.daemon_update(person.draw)
                await person.patch(DAEMON_SETS, name, {"spec": {"updateStrategy": how}})
            case _:
                await _take_pod(person)
    await _heal(person, DAEMON_SETS, name, bodies.template(labels, version + 1))


async def jobs(person: Person) -> None:
    """One after another, suspended now and then, pods taken away, some deleted."""
    await person.settle()
    count = 0
    while await person.another():
        match person.draw.choice(("new", "new", "suspend", "wider", "pod", "go")):
            case "new":
                count += 1
                await person.create(JOBS, bodies.job(person.draw, f"work-{count}"))
            case "suspend":
                name, suspend = _one(person, count), person.draw.choice((True, False))
                await person.patch(JOBS, name, {"spec": {"suspend": suspend}})
            case "wider":
                wide = person.draw.randint(0, 5)
                await person.patch(JOBS, _one(person, count), {"spec": {"parallelism": wide}})
            case "pod":
                await _take_pod(person)
            case _:
                how = person.draw.choice(("Background", "Foreground"))
                await person.delete(JOBS, _one(person, count), how)
    for number in range(1, count + 1):
        await person.patch(JOBS, f"work-{number}", {"spec": {"suspend": False, "parallelism": 2}})


def _one(person: Person, count: int) -> str:
    return f"work-{person.draw.randint(1, max(count, 1))}"


async def cronjobs(person: Person) -> None:
    """One that starts a Job every minute."""
    await person.settle()
    await person.create(CRON_JOBS, bodies.cronjob(person.draw, "tick"))
    while await person.another():
        suspend = person.draw.choice((True, False, False))
        await person.patch(CRON_JOBS, "tick", {"spec": {"suspend": suspend}})
    await person.patch(CRON_JOBS, "tick", {"spec": {"suspend": True}})


async def drains(person: Person) -> None:
    """Evict what a budget guards; nobody else takes those pods."""
    await person.settle()
    least = person.draw.randint(1, 3)
    labels = {"app": "guarded", GUARDED: str(least)}
    made = bodies.deployment(person.draw, "guarded", labels)
    made["spec"] |= {"replicas": person.draw.randint(least, 5), "minReadySeconds": 0}
    made["spec"]["template"] = bodies.template(labels, 1)
    await person.create(DEPLOYMENTS, made)
    budget = {"minAvailable": least, "selector": bodies.selector(labels)}
    await person.create(
        POD_DISRUPTION_BUDGETS,
        bodies.workload("PodDisruptionBudget", "guard", budget, "policy/v1"),
    )
    while await person.another():
        for name in await person.pods():
            await person.evict(name)


async def quotas(person: Person) -> None:
    """Ask for more than there may be."""
    await person.settle()
    hard = {"pods": str(person.draw.randint(1, 4)), "configmaps": "4"}
    quota = {**bodies.named("ResourceQuota", "most"), "spec": {"hard": hard}}
    await person.create(RESOURCE_QUOTAS, quota)
    spec = {
        "replicas": 6,
        "selector": bodies.selector({"app": "many"}),
        "template": bodies.template({"app": "many"}, 1),
    }
    await person.create(REPLICA_SETS, bodies.workload("ReplicaSet", "many", spec))
    count = 0
    while await person.another():
        count += 1
        match person.draw.choice(("more", "pod", "less")):
            case "more":
                await person.create(CONFIG_MAPS, bodies.config(f"one-{count}"))
            case "pod":
                await _take_pod(person)
            case _:
                await person.delete(CONFIG_MAPS, f"one-{person.draw.randint(1, count)}")


async def namespaces(person: Person) -> None:
    """A namespace that goes with all that is in it, and comes again."""
    while await person.another():
        await person.settle()
        labels = {"app": "short"}
        await person.create(CONFIG_MAPS, bodies.config("one"))
        await person.create(DEPLOYMENTS, bodies.deployment(person.draw, "short", labels))
        await person.create(STATEFUL_SETS, bodies.statefulset(person.draw, "kept", {"app": "k"}))
        await person.create(JOBS, bodies.job(person.draw, "brief"))
        await person.another()
        await person.delete(NAMESPACES, person.name)
        await person.another()
    await person.delete(NAMESPACES, person.name)


async def machines(person: Person, nodes: Sequence[Member]) -> None:
    """Machines that die and come back, some after their pods were given up."""
    while await person.another():
        member = person.draw.choice(nodes)
        if not member.is_down:
            member.kill(person.draw.uniform(*DEAD_SECONDS))


async def _take_pod(person: Person) -> None:
    found = await person.pods()
    if found:
        await person.delete(PODS, person.draw.choice(found))


async def _heal(person: Person, resource: Resource, name: str, made: Body) -> None:
    """The template works again, and pods of one that does not are taken out of its way."""
    made["metadata"]["annotations"].update(_HEALED)
    # With OnDelete a pod of before that waits for its node would stay as it is.
    bounds = {"partition": 0} if resource == STATEFUL_SETS else {"maxSurge": 0, "maxUnavailable": 1}
    how = {"type": "RollingUpdate", "rollingUpdate": bounds}
    await person.patch(resource, name, {"spec": {"template": made, "updateStrategy": how}})
    for _ in range(HEALINGS):
        for pod in await person.pods(is_sick):
            await person.delete(PODS, pod)
        await person.clock.sleep(HEALING_SECONDS)
