"""A device plugin: offers widgets, which are nothing but names, to the pods of a node.

    python examples/device_plugin.py --directory <kubelet's root>/device-plugins --devices 2

A pod that asks for ``example.com/widget: 1`` in its limits finds the names of those it was given
in ``$WIDGETS``, ``/dev/widget`` (which is ``/dev/null``), and the plugin's directory at
``/var/lib/widgets``. SIGUSR1 makes the first widget unwell, SIGUSR2 well again.
"""

import argparse
import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from pathlib import Path

from grpc import aio
from typing_extensions import override

from pilothouse.protos.devices.v1beta1 import api_pb2 as pb
from pilothouse.protos.devices.v1beta1 import api_pb2_grpc as rpc

SOCKET = "widgets.sock"
KUBELET = "kubelet.sock"
LOOK_SECONDS = 0.2


class Widgets(rpc.DevicePluginServicer):
    """``number`` of them; the first may be unwell."""

    def __init__(self, number: int, directory: Path) -> None:
        self._number = number
        self._directory = directory
        self._is_well = True
        self._changed = asyncio.Event()

    def make(self, *, well: bool) -> None:
        """Let the first widget be well, or not."""
        self._is_well = well
        self._changed.set()

    @override
    async def GetDevicePluginOptions(
        self, request: pb.Empty, context: aio.ServicerContext[pb.Empty, pb.DevicePluginOptions]
    ) -> pb.DevicePluginOptions:
        return pb.DevicePluginOptions(
            pre_start_required=True, get_preferred_allocation_available=True
        )

    @override
    async def ListAndWatch(
        self, request: pb.Empty, context: aio.ServicerContext[pb.Empty, pb.ListAndWatchResponse]
    ) -> AsyncIterator[pb.ListAndWatchResponse]:
        while True:
            self._changed.clear()
            yield pb.ListAndWatchResponse(
                devices=[
                    pb.Device(
                        ID=f"widget-{place}",
                        health="Healthy" if place or self._is_well else "Unhealthy",
                        topology=pb.TopologyInfo(nodes=[pb.NUMANode(ID=0)]),
                    )
                    for place in range(self._number)
                ]
            )
            await self._changed.wait()

    @override
    async def GetPreferredAllocation(
        self,
        request: pb.PreferredAllocationRequest,
        context: aio.ServicerContext[pb.PreferredAllocationRequest, pb.PreferredAllocationResponse],
    ) -> pb.PreferredAllocationResponse:
        """The last ones first."""
        answer = pb.PreferredAllocationResponse()
        for wanted in request.container_requests:
            rest = sorted({*wanted.available_deviceIDs} - {*wanted.must_include_deviceIDs})
            ids = [*wanted.must_include_deviceIDs, *reversed(rest)][: wanted.allocation_size]
            answer.container_responses.add(deviceIDs=ids)
        return answer

    @override
    async def Allocate(
        self,
        request: pb.AllocateRequest,
        context: aio.ServicerContext[pb.AllocateRequest, pb.AllocateResponse],
    ) -> pb.AllocateResponse:
        answer = pb.AllocateResponse()
        for wanted in request.container_requests:
            answer.container_responses.add(
                envs={"WIDGETS": ",".join(sorted(wanted.devices_ids))},
                mounts=[pb.Mount(
                    container_path="/var/lib/widgets", host_path=str(self._directory),
                    read_only=True,
                )],
                devices=[pb.DeviceSpec(
                    container_path="/dev/widget", host_path="/dev/null", permissions="rw",
                )],
            )  # fmt: skip
        return answer

    @override
    async def PreStartContainer(
        self,
        request: pb.PreStartContainerRequest,
        context: aio.ServicerContext[pb.PreStartContainerRequest, pb.PreStartContainerResponse],
    ) -> pb.PreStartContainerResponse:
        with (self._directory / "started").open("a") as file:
            file.write(",".join(request.devices_ids) + "\n")
        return pb.PreStartContainerResponse()


async def _register(directory: Path, resource: str) -> None:
    """Say that we are here, now and whenever the kubelet starts anew."""
    registered = None
    while True:
        with contextlib.suppress(OSError, aio.AioRpcError):
            state = (directory / KUBELET).stat()
            if (state.st_ino, state.st_ctime_ns) != registered:
                async with aio.insecure_channel(f"unix://{directory / KUBELET}") as channel:
                    request = pb.RegisterRequest(
                        version="v1beta1", endpoint=SOCKET, resource_name=resource
                    )
                    await rpc.RegistrationStub(channel).Register(request, timeout=10)
                registered = state.st_ino, state.st_ctime_ns
        await asyncio.sleep(LOOK_SECONDS)


async def main() -> None:
    """Until a signal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--resource", default="example.com/widget")
    parser.add_argument("--devices", type=int, default=2)
    flags = parser.parse_args()
    own = flags.directory / "widgets"
    own.mkdir(exist_ok=True)
    widgets = Widgets(flags.devices, own)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, lambda: widgets.make(well=False))
    loop.add_signal_handler(signal.SIGUSR2, lambda: widgets.make(well=True))
    (flags.directory / SOCKET).unlink(missing_ok=True)
    server = aio.server()
    rpc.add_DevicePluginServicer_to_server(widgets, server)
    server.add_insecure_port(f"unix://{flags.directory / SOCKET}")
    await server.start()
    await _register(flags.directory, flags.resource)


if __name__ == "__main__":
    asyncio.run(main())
