"""Pulls of images for several platforms, with tokens, over lines that break or lie."""

import platform

import pytest
from grpc import aio
from kit.containerd import Containerd
from kit.node import inside
from kit.token_registry import PASSWORD, REPOSITORY, USER, TokenRegistry, digest

from pilothouse.cri_shim.images.manifests import host_platform
from pilothouse.protos.cri.v1 import api_pb2 as cri
from pilothouse.protos.cri.v1.api_pb2_grpc import ImageServiceStub
from pilothouse.services.runtime.rpc.channel import open_channel

ARCHITECTURE = host_platform(platform.machine()).architecture


async def _pull(runtime: Containerd, name: str, **auth: str) -> cri.Image:
    """Pull it; what is known of it, before it is removed again."""
    async with open_channel(runtime.endpoint) as channel:
        stub = ImageServiceStub(channel)
        image = cri.ImageSpec(image=name)
        given = cri.AuthConfig(**auth) if auth else None
        pulled = await stub.PullImage(cri.PullImageRequest(image=image, auth=given))
        found = (await stub.ImageStatus(cri.ImageStatusRequest(image=image))).image
        assert found.id == pulled.image_ref
        await stub.RemoveImage(cri.RemoveImageRequest(image=image))
        return found


async def test_a_token_and_this_machines_platform(runtime: Containerd) -> None:
    async def test() -> None:
        registry = TokenRegistry(architecture=ARCHITECTURE)
        async with registry.serving() as address:
            name = f"{address}/{REPOSITORY}:v1"
            with pytest.raises(aio.AioRpcError):
                await _pull(runtime, name)
            with pytest.raises(aio.AioRpcError):
                await _pull(runtime, name, username=USER, password="no")
            found = await _pull(runtime, name, username=USER, password=PASSWORD)
            assert found.id == digest(registry.config)
            assert list(found.repo_digests) == [f"{address}/{REPOSITORY}@{digest(registry.index)}"]
            assert found.uid.value == 1234

    await inside(runtime, test)


async def test_a_line_that_breaks(cri_shim_runtime: Containerd) -> None:
    async def test() -> None:
        registry = TokenRegistry(size=3_000_000, architecture=ARCHITECTURE)
        registry.is_open = True
        registry.cuts = [600_000, 500_000, 400_000, 300_000]
        async with registry.serving() as address:
            found = await _pull(cri_shim_runtime, f"{address}/{REPOSITORY}:v1")
            assert found.id == digest(registry.config)
        path = f"/v2/{REPOSITORY}/blobs/{digest(registry.layer)}"
        ranges = [sent for asked, sent in registry.asked if asked == path]
        assert len(ranges) == 5
        starts = [int(sent.removeprefix("bytes=").rstrip("-") or 0) for sent in ranges]
        assert starts == sorted(starts)
        assert starts[-1] > 250_000, "what came stays"

    await inside(cri_shim_runtime, test)


async def test_what_is_not_as_promised_is_not_kept(cri_shim_runtime: Containerd) -> None:
    """containerd's own keeps it, and fails with it again."""

    async def test() -> None:
        registry = TokenRegistry(size=100_000, architecture=ARCHITECTURE)
        registry.is_open = registry.lies = True
        async with registry.serving() as address:
            name = f"{address}/{REPOSITORY}:v1"
            with pytest.raises(aio.AioRpcError, match="unexpected commit digest"):
                await _pull(cri_shim_runtime, name)
            registry.lies = False
            assert (await _pull(cri_shim_runtime, name)).id == digest(registry.config)

    await inside(cri_shim_runtime, test)


async def test_no_image_for_this_machine(runtime: Containerd) -> None:
    async def test() -> None:
        registry = TokenRegistry(architecture="s390x")
        registry.is_open = True
        async with registry.serving() as address:
            with pytest.raises(aio.AioRpcError, match="no match for platform"):
                await _pull(runtime, f"{address}/{REPOSITORY}:v1")

    await inside(runtime, test)
