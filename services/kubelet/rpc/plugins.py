"""The sockets where plugins of this node are met, and its monitors."""

import asyncio
from pathlib import Path

from pilothouse.services.kubelet.adapters.plugins.devices import DevicePlugins
from pilothouse.services.kubelet.adapters.plugins.sockets import PluginSockets
from pilothouse.services.kubelet.rpc import device_registration, pod_resources
from pilothouse.services.kubelet.workers.pods import Pods
from pilothouse.services.runtime.clock import Clock
from pilothouse.services.runtime.rpc.server import Listen, serve

SOCKET = "kubelet.sock"


async def run(devices: DevicePlugins, pods: Pods, root: Path, clock: Clock) -> None:
    """Until cancelled; names are Kubernetes' own, below the kubelet's ``root``."""
    registry = PluginSockets(root / "plugins_registry", devices.register, clock)
    registration = Listen(str(devices.directory / SOCKET))
    resources = Listen(str(root / "pod-resources" / SOCKET))
    async with (
        serve([device_registration.service(devices)], [registration]),
        serve([pod_resources.service(pods, lambda: devices.inventory)], [resources]),
        asyncio.TaskGroup() as group,
    ):
        group.create_task(devices.run())
        group.create_task(registry.run())
