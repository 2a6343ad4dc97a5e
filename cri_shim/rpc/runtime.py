"""CRI's RuntimeService, put together from its parts."""

from collections.abc import Sequence
from typing import Any

from pilothouse.protos.cri.v1 import api_pb2 as cri
from pilothouse.protos.cri.v1.api_pb2_grpc import (
    RuntimeServiceServicer,
    add_RuntimeServiceServicer_to_server,
)
from pilothouse.services.runtime.rpc.server import Service


class Joined:
    """Each call is answered by the first part that knows it; what none knows is unimplemented."""

    def __init__(self, parts: Sequence[object]) -> None:
        nobody: Any = RuntimeServiceServicer
        self._parts = (*parts, nobody())

    def __getattr__(self, name: str) -> Any:
        for part in self._parts:
            found = getattr(part, name, None)
            if found is not None:
                return found
        raise AttributeError(name)


def service(parts: Sequence[object]) -> Service:
    """To be served."""
    joined: Any = Joined(parts)
    return Service(
        cri.DESCRIPTOR.services_by_name["RuntimeService"].full_name,
        lambda server: add_RuntimeServiceServicer_to_server(joined, server),
    )
