"""ServiceCIDRs and the addresses that Services have of them."""

from collections.abc import Iterable
from typing import Any

from pilothouse.services.controllers.adapters import wiring
from pilothouse.services.controllers.adapters.world import Controller, World, controller
from pilothouse.services.controllers.network.servicecidrs import ServiceCidrController
from pilothouse.services.machinery.errors import NotFound
from pilothouse.services.machinery.kinds.ranges import Address, RangeCondition, ServiceRange
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import IP_ADDRESSES, SERVICE_CIDRS
from pilothouse.services.runtime.control.queue import WorkQueue


class Ranges:
    """What the ServiceCIDR controller asks for."""

    def __init__(self, world: World) -> None:
        self._objects = world.objects
        self._clock = world.clock
        self.cache = world.cache(SERVICE_CIDRS, ServiceRange)
        self._addresses = world.cache(IP_ADDRESSES, Address)

    def range(self, key: Key) -> ServiceRange | None:
        return self.cache.get(key)

    def others(self, key: Key) -> Iterable[ServiceRange]:
        return [each for each in self.cache.values() if each.metadata.key != key]

    def addresses(self) -> Iterable[Address]:
        return self._addresses.values()

    def now(self) -> float:
        return self._clock.now()

    async def finalize(self, range_: ServiceRange, finalizers: tuple[str, ...]) -> None:
        metadata = range_.metadata
        seen = {"uid": metadata.uid, "resourceVersion": metadata.resource_version}
        await self._patch(range_, {"metadata": {**seen, "finalizers": list(finalizers)}})

    async def tell(self, range_: ServiceRange, condition: RangeCondition) -> None:
        told = {
            "type": condition.type,
            "status": condition.status,
            "reason": condition.reason,
            "message": condition.message,
            "lastTransitionTime": condition.last_transition_time,
        }
        await self._patch(range_, {"status": {"conditions": [told]}}, "status")

    def watch(self, queue: WorkQueue[Key]) -> None:
        """Look again at what changed, and at what is to go when anything changes."""

        def changed(_old: object, _new: object) -> None:
            for each in self.cache.values():
                if each.metadata.deleting:
                    queue.add(each.metadata.key)

        self.cache.on_change(wiring.itself(queue))
        self.cache.on_change(changed)
        self._addresses.on_change(changed)

    async def _patch(
        self, range_: ServiceRange, patch: dict[str, Any], subresource: str = ""
    ) -> None:
        key = range_.metadata.key
        try:
            await self._objects.patch(SERVICE_CIDRS, key, patch, subresource=subresource)
        except NotFound:
            return


def servicecidr(world: World) -> Controller:
    """Ranges stay while Services need them."""
    queue: WorkQueue[Key] = WorkQueue()
    ranges = Ranges(world)
    ranges.watch(queue)
    return controller(ServiceCidrController(ranges), queue, ranges.cache)
