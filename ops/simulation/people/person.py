"""One who works in a namespace, by draws of their own."""

import random
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from pilothouse.ops.simulation import bodies
from pilothouse.ops.simulation.bodies import Body
from pilothouse.ops.simulation.faults import USER
from pilothouse.ops.simulation.loop import VirtualClock
from pilothouse.ops.simulation.network import Line, Network
from pilothouse.ops.simulation.state import is_active, is_ready, phase
from pilothouse.services.kubelet.adapters.hollow import course
from pilothouse.services.machinery.errors import ApiError, ServiceUnavailable
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import (
    NAMESPACES,
    PODS,
    STATEFUL_SETS,
    Resource,
)
from pilothouse.services.runtime.client.objects import Objects, Selection

PAUSES_SECONDS = (3.0, 12.0)
TRIES_MAX = 60
HEALINGS = 8
HEALING_SECONDS = 30.0
HEALED = dict.fromkeys((course.STOP_SECONDS, course.EXIT_CODE))


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

    async def get(self, resource: Resource, name: str) -> Body | None:
        """None where it is not."""
        texts: list[str] = []

        async def look() -> None:
            namespace = self.name if resource.namespaced else ""
            texts.append(await self.objects.get(resource, Key(namespace, name)))

        await self._patiently(look)
        return msgspec.json.decode(texts[0]) if texts else None

    async def patch(self, resource: Resource, name: str, patch: Body) -> None:
        """Fine where it is gone."""
        key = Key(self.name if resource.namespaced else "", name)
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


async def take_pod(person: Person) -> None:
    found = await person.pods()
    if found:
        await person.delete(PODS, person.draw.choice(found))


async def heal(person: Person, resource: Resource, name: str, made: Body) -> None:
    """The template works again, and pods of one that does not are taken out of its way."""
    made["metadata"]["annotations"].update(HEALED)
    # With OnDelete a pod of before that waits for its node would stay as it is.
    bounds = {"partition": 0} if resource == STATEFUL_SETS else {"maxSurge": 0, "maxUnavailable": 1}
    how = {"type": "RollingUpdate", "rollingUpdate": bounds}
    await person.patch(resource, name, {"spec": {"template": made, "updateStrategy": how}})
    for _ in range(HEALINGS):
        for pod in await person.pods(is_sick):
            await person.delete(PODS, pod)
        await person.clock.sleep(HEALING_SECONDS)
