"""CRI's RuntimeService, put together from its parts."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from pilothouse.protos.cri.v1 import api_pb2 as cri
from pilothouse.protos.cri.v1.api_pb2_grpc import add_RuntimeServiceServicer_to_server
from pilothouse.services.machinery.errors import MethodNotAllowed
from pilothouse.services.runtime.rpc.errors import Context
from pilothouse.services.runtime.rpc.server import Service


class Joined:
    """Each call is answered by the first part that knows it; what none knows is refused by name."""

    def __init__(self, parts: Sequence[object]) -> None:
        self._parts = parts

    def __getattr__(self, name: str) -> Any:
        for part in self._parts:
            found = getattr(part, name, None)
            if found is not None:
                return found
        method = cri.DESCRIPTOR.services_by_name["RuntimeService"].methods_by_name.get(name)
        if method is None:
            raise AttributeError(name)
        return _refused_stream(name) if method.server_streaming else _refused(name)


def _refused(name: str) -> Any:
    async def call(request: object, context: Context) -> None:
        raise MethodNotAllowed(f"{name} is not supported")

    return call


def _refused_stream(name: str) -> Any:
    async def call(request: object, context: Context) -> AsyncIterator[None]:
        raise MethodNotAllowed(f"{name} is not supported")
        yield

    return call


def service(parts: Sequence[object]) -> Service:
    """To be served."""
    joined: Any = Joined(parts)
    return Service(
        cri.DESCRIPTOR.services_by_name["RuntimeService"].full_name,
        lambda server: add_RuntimeServiceServicer_to_server(joined, server),
    )
