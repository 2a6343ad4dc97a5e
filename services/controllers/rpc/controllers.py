"""``mesh.v1.Controllers``: what each loop is doing, and a push for those that should look again."""

from collections.abc import Mapping

from grpc import aio
from typing_extensions import override

from pilothouse.protos.mesh.v1 import controllers_pb2 as pb
from pilothouse.protos.mesh.v1 import controllers_pb2_grpc
from pilothouse.services.controllers.adapters.world import Controller
from pilothouse.services.machinery.errors import BadRequest, NotFound
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import Failure
from pilothouse.services.runtime.rpc.errors import Context
from pilothouse.services.runtime.rpc.server import Service

NAME = "pilothouse.mesh.v1.Controllers"
FAILURES_MAX = 20


class Controllers(controllers_pb2_grpc.ControllersServicer):
    """All controllers of this process, by name."""

    def __init__(self, controllers: Mapping[str, Controller]) -> None:
        self._controllers = controllers

    @override
    async def List(
        self, request: pb.ListControllersRequest, context: Context
    ) -> pb.ListControllersResponse:
        listed = (_encode(name, item) for name, item in sorted(self._controllers.items()))
        return pb.ListControllersResponse(controllers=listed)

    @override
    async def Resync(self, request: pb.ResyncRequest, context: Context) -> pb.ResyncResponse:
        controller = self._controllers.get(request.controller)
        if controller is None:
            raise NotFound(f"there is no controller {request.controller!r} here")
        if request.namespace and not request.name:
            raise BadRequest("a namespace is given without a name")
        one = [Key(request.namespace, request.name)] if request.name else None
        keys = list(one or controller.keys())
        for key in keys:
            controller.loop.queue.add(key)
        return pb.ResyncResponse(queued=len(keys))


def _encode(name: str, controller: Controller) -> pb.Controller:
    loop = controller.loop
    return pb.Controller(
        name=name,
        queued=len(loop.queue),
        working=loop.queue.working,
        retries=loop.retries,
        failures=[_encode_failure(item) for item in loop.failures()[:FAILURES_MAX]],
    )


def _encode_failure(failure: Failure) -> pb.Failure:
    return pb.Failure(key=str(failure.key), error=failure.error, tries=failure.tries)


def service(controllers: Mapping[str, Controller]) -> Service:
    """The service as a server takes it."""

    def add(server: aio.Server) -> None:
        controllers_pb2_grpc.add_ControllersServicer_to_server(Controllers(controllers), server)

    return Service(NAME, add)
