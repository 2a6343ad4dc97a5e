"""``v1beta1.Registration``: device plugins say here that they are there."""

from typing import TYPE_CHECKING

from typing_extensions import override

from pilothouse.protos.devices.v1beta1 import api_pb2 as pb
from pilothouse.protos.devices.v1beta1.api_pb2_grpc import (
    RegistrationServicer,
    add_RegistrationServicer_to_server,
)
from pilothouse.services.kubelet.adapters.plugins.devices import DevicePlugins
from pilothouse.services.machinery.errors import BadRequest
from pilothouse.services.runtime.rpc.errors import Context
from pilothouse.services.runtime.rpc.server import Service

if TYPE_CHECKING:
    from pathlib import Path


class DeviceRegistration(RegistrationServicer):
    """Endpoints are names of sockets beside the kubelet's own."""

    def __init__(self, plugins: DevicePlugins) -> None:
        self._plugins = plugins

    @override
    async def Register(self, request: pb.RegisterRequest, context: Context) -> pb.Empty:
        name = request.endpoint
        if not name or "/" in name or name == "..":
            raise BadRequest(f'endpoint "{name}" is not the name of a socket')
        endpoint: Path = self._plugins.directory / name
        await self._plugins.register(request.resource_name, endpoint, request.version)
        return pb.Empty()


def service(plugins: DevicePlugins) -> Service:
    """For :func:`pilothouse.services.runtime.rpc.server.serve`."""
    servicer = DeviceRegistration(plugins)
    return Service(
        pb.DESCRIPTOR.services_by_name["Registration"].full_name,
        lambda server: add_RegistrationServicer_to_server(servicer, server),
    )
