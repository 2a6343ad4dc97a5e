"""The runtime's images, for whoever decides which of them go."""

import asyncio
import json
import os
from collections.abc import Awaitable
from typing import TypeVar

from grpc import aio

from pilothouse.protos.cri.v1 import api_pb2 as cri
from pilothouse.protos.cri.v1.api_pb2_grpc import ImageServiceStub, RuntimeServiceStub
from pilothouse.services.kubelet.images.collecting import Stored
from pilothouse.services.runtime.rpc.errors import from_rpc

CALL_SECONDS_MAX = 120.0

T = TypeVar("T")


class ImageStore:
    """Behind one channel. Calls raise ApiError and nothing else."""

    def __init__(self, channel: aio.Channel) -> None:
        self._runtime = RuntimeServiceStub(channel)
        self._images = ImageServiceStub(channel)
        self._sandbox_image: str | None = None

    async def images(self) -> list[Stored]:
        answer = await _answer(
            self._images.ListImages(cri.ListImagesRequest(), timeout=CALL_SECONDS_MAX)
        )
        return [
            Stored(item.id, (*item.repo_digests, *item.repo_tags), item.size, item.pinned)
            for item in answer.images
        ]

    async def used(self) -> frozenset[str]:
        """Ids and names that containers run from, and that sandboxes are made of."""
        answer = await _answer(
            self._runtime.ListContainers(cri.ListContainersRequest(), timeout=CALL_SECONDS_MAX)
        )
        found = {item.image_ref for item in answer.containers}
        found |= {item.image.image for item in answer.containers}
        return frozenset(found | {await self._of_sandboxes()})

    async def remove(self, id_: str) -> None:
        """Fine when it is gone."""
        request = cri.RemoveImageRequest(image=cri.ImageSpec(image=id_))
        await _answer(self._images.RemoveImage(request, timeout=CALL_SECONDS_MAX))

    async def mountpoint(self) -> str:
        """Where images are; empty when the runtime does not say."""
        answer = await _answer(
            self._images.ImageFsInfo(cri.ImageFsInfoRequest(), timeout=CALL_SECONDS_MAX)
        )
        places = answer.image_filesystems
        return places[0].fs_id.mountpoint if places else ""

    async def space(self) -> tuple[int, int]:
        """Bytes of the disk that images are on, and of those what is free."""
        place = await self.mountpoint()
        if not place:
            return 0, 0
        told = await asyncio.to_thread(os.statvfs, place)
        return told.f_blocks * told.f_frsize, told.f_bavail * told.f_frsize

    async def _of_sandboxes(self) -> str:
        """The image of every sandbox, which not every runtime lists as pinned; empty if untold."""
        if self._sandbox_image is None:
            request = cri.StatusRequest(verbose=True)
            answer = await _answer(self._runtime.Status(request, timeout=CALL_SECONDS_MAX))
            told = json.loads(answer.info.get("config", "") or "{}")
            self._sandbox_image = str(told.get("sandboxImage", ""))
        return self._sandbox_image


async def _answer(call: Awaitable[T]) -> T:
    try:
        return await call
    except aio.AioRpcError as error:
        raise from_rpc(error) from None
