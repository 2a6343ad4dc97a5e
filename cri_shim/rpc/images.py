"""CRI's ImageService."""

import json
from collections.abc import AsyncIterator, Callable

from typing_extensions import override

from pilothouse.cri_shim.images import manifests
from pilothouse.cri_shim.images.credentials import Given
from pilothouse.cri_shim.images.images import ContainerImages
from pilothouse.cri_shim.images.library import Image
from pilothouse.protos.cri.v1 import api_pb2 as cri
from pilothouse.protos.cri.v1.api_pb2_grpc import (
    ImageServiceServicer,
    add_ImageServiceServicer_to_server,
)
from pilothouse.services.machinery.errors import BadRequest
from pilothouse.services.runtime.clock import Clock
from pilothouse.services.runtime.rpc.errors import Context
from pilothouse.services.runtime.rpc.server import Service

STREAMED = 100
"""Images in one message of a stream."""
NANOSECONDS = 1_000_000_000


class ImageService(ImageServiceServicer):
    """Decode, one call, encode. ``mountpoint`` is where snapshots lie on this machine."""

    def __init__(
        self, images: ContainerImages, mountpoint: Callable[[], str], clock: Clock
    ) -> None:
        self._images = images
        self._mountpoint = mountpoint
        self._clock = clock

    @override
    async def ListImages(
        self, request: cri.ListImagesRequest, context: Context
    ) -> cri.ListImagesResponse:
        """All images, or the one that the filter names."""
        found = await self._images.list(request.filter.image.image)
        return cri.ListImagesResponse(images=[_image(image) for image in found])

    @override
    async def StreamImages(
        self, request: cri.StreamImagesRequest, context: Context
    ) -> AsyncIterator[cri.StreamImagesResponse]:
        """The same, :data:`STREAMED` at a time; a slow client holds back its own stream only."""
        found = await self._images.list(request.filter.image.image)
        for start in range(0, len(found), STREAMED):
            part = found[start : start + STREAMED]
            yield cri.StreamImagesResponse(images=[_image(image) for image in part])

    @override
    async def ImageStatus(
        self, request: cri.ImageStatusRequest, context: Context
    ) -> cri.ImageStatusResponse:
        """One image; an answer without one where it is not at hand."""
        found = await self._images.find(_named(request.image))
        if found is None:
            return cri.ImageStatusResponse()
        info = {"info": _verbose(found)} if request.verbose else {}
        return cri.ImageStatusResponse(image=_image(found), info=info)

    @override
    async def PullImage(
        self, request: cri.PullImageRequest, context: Context
    ) -> cri.PullImageResponse:
        """Fetch and unpack; the answer is the image's id."""
        auth = request.auth
        given = Given(
            auth.username, auth.password, auth.auth, auth.server_address,
            auth.identity_token, auth.registry_token,
        )  # fmt: skip
        return cri.PullImageResponse(
            image_ref=await self._images.fetch(_named(request.image), given)
        )

    @override
    async def RemoveImage(
        self, request: cri.RemoveImageRequest, context: Context
    ) -> cri.RemoveImageResponse:
        """With all its names; fine when it is gone."""
        await self._images.remove(_named(request.image))
        return cri.RemoveImageResponse()

    @override
    async def ImageFsInfo(
        self, request: cri.ImageFsInfoRequest, context: Context
    ) -> cri.ImageFsInfoResponse:
        """What snapshots take; containers' own are among them."""
        used = await self._images.usage()
        usage = cri.FilesystemUsage(
            timestamp=int(self._clock.now() * NANOSECONDS),
            fs_id=cri.FilesystemIdentifier(mountpoint=self._mountpoint()),
            used_bytes=cri.UInt64Value(value=used.bytes),
            inodes_used=cri.UInt64Value(value=used.inodes),
        )
        return cri.ImageFsInfoResponse(image_filesystems=[usage], container_filesystems=[usage])


def service(images: ContainerImages, mountpoint: Callable[[], str], clock: Clock) -> Service:
    """To be served."""
    servicer = ImageService(images, mountpoint, clock)
    return Service(
        cri.DESCRIPTOR.services_by_name["ImageService"].full_name,
        lambda server: add_ImageServiceServicer_to_server(servicer, server),
    )


def _named(image: cri.ImageSpec) -> str:
    if not image.image:
        raise BadRequest("image reference is required")
    return image.image


def _image(image: Image) -> cri.Image:
    user = manifests.user_of(image.content.config)
    uid = None if user.uid is None else cri.Int64Value(value=user.uid)
    return cri.Image(
        id=image.id,
        repo_tags=image.tags,
        repo_digests=image.digests,
        size=image.content.size,
        uid=uid,
        username=user.name,
        spec=cri.ImageSpec(image=image.id),
        pinned=image.pinned,
    )


def _verbose(image: Image) -> str:
    spec = json.loads(image.content.text)
    return json.dumps({"chainID": image.content.chain_id, "imageSpec": spec})
