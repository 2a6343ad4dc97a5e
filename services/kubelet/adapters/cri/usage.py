"""What the runtime itself counts: writable layers, and where its images are."""

from dataclasses import dataclass

from grpc import aio

from pilothouse.protos.cri.v1 import api_pb2 as cri
from pilothouse.protos.cri.v1.api_pb2_grpc import ImageServiceStub, RuntimeServiceStub
from pilothouse.services.runtime.rpc.errors import from_rpc

CALL_SECONDS_MAX = 30.0


@dataclass(frozen=True, slots=True)
class Space:
    """``mountpoint``: a path of the file system in which ``used_bytes`` lie; may be empty."""

    mountpoint: str
    used_bytes: int
    inodes_used: int


class CriUsage:
    """Calls raise ApiError and nothing else."""

    def __init__(self, channel: aio.Channel) -> None:
        self._runtime = RuntimeServiceStub(channel)
        self._images = ImageServiceStub(channel)

    async def layers(self) -> dict[str, Space]:
        """Writable layers by id of their container."""
        request = cri.ListContainerStatsRequest()
        try:
            answer = await self._runtime.ListContainerStats(request, timeout=CALL_SECONDS_MAX)
        except aio.AioRpcError as error:
            raise from_rpc(error) from None
        return {item.attributes.id: _space(item.writable_layer) for item in answer.stats}

    async def places(self) -> tuple[Space | None, Space | None]:
        """Where images lie, and where what containers write; None where it does not say."""
        request = cri.ImageFsInfoRequest()
        try:
            answer = await self._images.ImageFsInfo(request, timeout=CALL_SECONDS_MAX)
        except aio.AioRpcError as error:
            raise from_rpc(error) from None
        images, layers = answer.image_filesystems, answer.container_filesystems
        return (
            _space(images[0]) if images else None,
            _space(layers[0]) if layers else None,
        )


def _space(usage: cri.FilesystemUsage) -> Space:
    return Space(usage.fs_id.mountpoint, usage.used_bytes.value, usage.inodes_used.value)
