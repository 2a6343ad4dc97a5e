"""Freeze a running container into a file, where the runtime knows how."""

from grpc import aio

from pilothouse.protos.cri.v1 import api_pb2 as cri
from pilothouse.protos.cri.v1.api_pb2_grpc import RuntimeServiceStub
from pilothouse.services.runtime.rpc.errors import from_rpc

CALL_SECONDS = 120.0


class CriCheckpoints:
    """Calls raise ApiError and nothing else."""

    def __init__(self, channel: aio.Channel) -> None:
        self._runtime = RuntimeServiceStub(channel)

    async def checkpoint(self, id_: str, location: str, timeout_seconds: int) -> None:
        """Write the container to ``location``; it runs on. 0 seconds: the default."""
        request = cri.CheckpointContainerRequest(
            container_id=id_, location=location, timeout=timeout_seconds
        )
        try:
            await self._runtime.CheckpointContainer(
                request, timeout=timeout_seconds or CALL_SECONDS
            )
        except aio.AioRpcError as error:
            raise from_rpc(error) from None
