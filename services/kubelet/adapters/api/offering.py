"""What a Node tells of its runtime, with the devices that plugins offer beside it."""

from dataclasses import replace
from typing import Protocol

from pilothouse.services.kubelet.adapters.plugins.devices import DevicePlugins
from pilothouse.services.kubelet.node.registration import Registration
from pilothouse.services.kubelet.ports import RuntimeState
from pilothouse.services.kubelet.workers.pods import Pods


class Runtime(Protocol):
    async def state(self) -> RuntimeState: ...


class Offering:
    """A runtime that has devices."""

    def __init__(self, runtime: Runtime, devices: DevicePlugins) -> None:
        self._runtime = runtime
        self._devices = devices

    async def state(self) -> RuntimeState:
        """With what plugins offer."""
        state = await self._runtime.state()
        return replace(
            state, capacity=self._devices.capacity(), allocatable=self._devices.allocatable()
        )


def tell(devices: DevicePlugins, registration: Registration, pods: Pods) -> None:
    """Let the Node, and pods that have devices, say at once how these are."""

    def changed() -> None:
        registration.look()
        holders = {owner.uid for owner in devices.inventory.assigned}
        for worker in pods.workers():
            if worker.pod.uid in holders:
                worker.wake()

    devices.changed = changed
