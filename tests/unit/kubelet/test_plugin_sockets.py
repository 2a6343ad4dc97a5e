"""Plugins that are met by their sockets, and device plugins behind them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from grpc import aio
from typing_extensions import override

from pilothouse.protos.devices.v1beta1 import api_pb2 as devices
from pilothouse.protos.devices.v1beta1.api_pb2_grpc import (
    DevicePluginServicer,
    add_DevicePluginServicer_to_server,
)
from pilothouse.protos.registration.v1 import api_pb2 as pb
from pilothouse.protos.registration.v1.api_pb2_grpc import (
    RegistrationServicer,
    add_RegistrationServicer_to_server,
)
from pilothouse.services.kubelet.adapters.plugins.devices import DevicePlugins
from pilothouse.services.kubelet.adapters.plugins.sockets import PluginSockets
from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.machinery.errors import BadRequest
from pilothouse.services.runtime.clock import SystemClock

RESOURCE = "example.com/gear"


class Plugin(DevicePluginServicer, RegistrationServicer):
    """One healthy gear, on the socket by which it is met; hands out none twice."""

    def __init__(self, type_: str) -> None:
        self.type = type_
        self.told = asyncio.Queue()

    @override
    async def GetInfo(self, request, context):
        return pb.PluginInfo(type=self.type, name=RESOURCE, supported_versions=["v1beta1"])

    @override
    async def NotifyRegistrationStatus(self, request, context):
        self.told.put_nowait((request.plugin_registered, request.error))
        return pb.RegistrationStatusResponse()

    @override
    async def GetDevicePluginOptions(self, request, context):
        return devices.DevicePluginOptions()

    @override
    async def ListAndWatch(self, request, context):
        yield devices.ListAndWatchResponse(devices=[devices.Device(ID="g", health="Healthy")])
        await asyncio.Event().wait()

    @override
    async def Allocate(self, request, context):
        answer = devices.AllocateResponse()
        answer.container_responses.add(cdi_devices=[devices.CDIDevice(name="example.com/gear=g")])
        return answer


@contextlib.asynccontextmanager
async def _served(plugin: Plugin, path: Path) -> AsyncIterator[None]:
    server = aio.server()
    add_RegistrationServicer_to_server(plugin, server)
    add_DevicePluginServicer_to_server(plugin, server)
    server.add_insecure_port(f"unix://{path}")
    await server.start()
    try:
        yield
    finally:
        await server.stop(None)


@contextlib.asynccontextmanager
async def _node(root: Path) -> AsyncIterator[tuple[DevicePlugins, PluginSockets]]:
    clock = SystemClock()
    plugins = DevicePlugins(root / "device-plugins", clock)
    sockets = PluginSockets(root / "plugins_registry", plugins.register, clock)
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(plugins.run()), group.create_task(sockets.run())]
        await asyncio.sleep(0)
        yield plugins, sockets
        for task in running:
            task.cancel()


async def test_a_device_plugin_is_met_by_its_socket(tmp_path: Path) -> None:
    plugin, changed = Plugin("DevicePlugin"), asyncio.Event()
    async with _node(tmp_path) as (plugins, _):
        plugins.changed = changed.set
        async with _served(plugin, tmp_path / "plugins_registry" / "gears.sock"):
            assert await asyncio.wait_for(plugin.told.get(), 30) == (True, "")
            await asyncio.wait_for(changed.wait(), 30)
            assert plugins.allocatable() == {RESOURCE: "1"}
            containers = [{"name": "c", "resources": {"limits": {RESOURCE: "1"}}}]
            body = {"metadata": {"uid": "p"}, "spec": {"containers": containers}}
            pod, other = (
                msgspec.convert(body | {"metadata": {"uid": uid}}, Pod) for uid in ("p", "q")
            )
            assert await plugins.allocate(pod, set()) is None
            assert await plugins.allocate(pod, set()) is None
            assert (await plugins.given(pod, "c")).cdi_devices == ["example.com/gear=g"]
            refused = await plugins.allocate(other, {"p"})
            assert refused is not None
            assert refused.reason == "UnexpectedAdmissionError"
            assert await plugins.allocate(other, set()) is None
            changed.clear()
        await asyncio.wait_for(changed.wait(), 30)
        assert (plugins.capacity(), plugins.allocatable()) == ({RESOURCE: "1"}, {RESOURCE: "0"})


@pytest.mark.parametrize(
    ("type_", "answer"),
    [
        ("CSIPlugin", (True, "")),
        ("DRAPlugin", (True, "")),
        ("Odd", (False, "no handler registered for plugin type: Odd at socket")),
    ],
)
async def test_other_plugins_are_recorded_or_refused(
    tmp_path: Path, type_: str, answer: tuple[bool, str]
) -> None:
    plugin = Plugin(type_)
    async with _node(tmp_path) as (_, sockets):
        async with _served(plugin, tmp_path / "plugins_registry" / "p.sock"):
            is_taken, why = await asyncio.wait_for(plugin.told.get(), 30)
            recorded = [item.type for item in sockets.plugins.values()]
        assert (is_taken, why[: len(answer[1])]) == answer
        assert recorded == ([type_] if is_taken else [])


async def test_what_is_no_device_plugin_is_refused(tmp_path: Path) -> None:
    plugins = DevicePlugins(tmp_path, SystemClock())
    with pytest.raises(BadRequest, match="is not supported by kubelet"):
        await plugins.register(RESOURCE, tmp_path / "s", "v1alpha")
    for name in ("cpu", "kubernetes.io/gear", "requests.kubernetes.io/gear"):
        with pytest.raises(BadRequest, match="is invalid"):
            await plugins.register(name, tmp_path / "s", "v1beta1")
