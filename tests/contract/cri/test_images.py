"""CRI's ImageService, containerd's own and ours, with a real registry."""

import asyncio
from collections.abc import Iterator

import grpc
import pytest
from grpc import aio
from kit.containerd import Containerd
from kit.image_registry import PASSWORD, USER, big, docker_registry, small

from pilothouse.protos.cri.v1 import api_pb2 as cri
from pilothouse.protos.cri.v1.api_pb2_grpc import ImageServiceStub
from pilothouse.services.runtime.rpc.channel import open_channel

PORT, PRIVATE_PORT = 5100, 5101


@pytest.fixture(scope="module")
def registry(runtime: Containerd) -> Iterator[str]:
    images = [small("team/app:v1", "a", "b"), small("team/app:v2", "a", "c"), big("team/run:v1")]
    with docker_registry(runtime.root / "registry", runtime.netns, PORT, images) as address:
        yield address


@pytest.fixture(scope="module")
def private(runtime: Containerd) -> Iterator[str]:
    images = [small("secret/app:v1", "s")]
    root = runtime.root / "private"
    with docker_registry(root, runtime.netns, PRIVATE_PORT, images, private=True) as address:
        yield address


class Images:
    """The calls, shortly."""

    def __init__(self, channel: aio.Channel) -> None:
        self.stub = ImageServiceStub(channel)

    async def pull(self, name: str, **auth: str) -> str:
        request = cri.PullImageRequest(
            image=cri.ImageSpec(image=name), auth=cri.AuthConfig(**auth) if auth else None
        )
        return (await self.stub.PullImage(request)).image_ref

    async def status(self, name: str, *, verbose: bool = False) -> cri.ImageStatusResponse:
        request = cri.ImageStatusRequest(image=cri.ImageSpec(image=name), verbose=verbose)
        return await self.stub.ImageStatus(request)

    async def list(self, name: str = "") -> list[cri.Image]:
        request = cri.ListImagesRequest()
        if name:
            request.filter.image.image = name
        return list((await self.stub.ListImages(request)).images)

    async def remove(self, name: str) -> None:
        await self.stub.RemoveImage(cri.RemoveImageRequest(image=cri.ImageSpec(image=name)))


@pytest.fixture
def run(runtime: Containerd):
    """Runs a test with the images of one server."""

    async def run(test) -> None:
        async with open_channel(runtime.endpoint) as channel:
            await test(Images(channel))

    return run


async def test_pulled_known_and_removed(run, registry: str) -> None:
    name = f"{registry}/team/app:v1"

    async def test(images: Images) -> None:
        assert not (await images.status(name)).HasField("image")
        id_ = await images.pull(name)
        assert id_.startswith("sha256:")
        assert await images.pull(name) == id_, "again is as well"
        found = (await images.status(name, verbose=True)).image
        assert (found.id, list(found.repo_tags)) == (id_, [name])
        (digest,) = found.repo_digests
        assert digest.startswith(f"{registry}/team/app@sha256:")
        assert found.size > 100
        assert not found.HasField("uid")
        for other in (id_, id_[7:19], digest):
            assert (await images.status(other)).image.id == id_
        assert id_ in {image.id for image in await images.list(name)}
        assert id_ in {image.id for image in await images.list()}
        by_digest = await images.pull(digest)
        assert by_digest == id_
        second = await images.pull(f"{registry}/team/app:v2")
        assert second != id_
        for other in (name, id_, second, name):
            await images.remove(other)
        assert not (await images.status(id_)).HasField("image")

    await run(test)


async def test_pulls_at_once_are_as_one(run, registry: str) -> None:
    async def test(images: Images) -> None:
        names = [f"{registry}/team/app:v1", f"{registry}/team/app:v2"] * 3
        async with asyncio.TaskGroup() as group:
            pulls = [group.create_task(images.pull(name)) for name in names]
        assert len({pull.result() for pull in pulls}) == 2
        for pull in pulls:
            await images.remove(pull.result())

    await run(test)


async def test_what_ctr_brought_is_seen(run, containerd_runtime: Containerd) -> None:
    async def test(images: Images) -> None:
        found = (await images.status("busybox")).image
        assert "docker.io/library/busybox:latest" in found.repo_tags
        usage = await images.stub.ImageFsInfo(cri.ImageFsInfoRequest())
        assert usage.image_filesystems[0].fs_id.mountpoint

    await run(test)


async def test_a_registry_that_wants_a_name(run, private: str) -> None:
    name = f"{private}/secret/app:v1"

    async def test(images: Images) -> None:
        with pytest.raises(aio.AioRpcError):
            await images.pull(name)
        with pytest.raises(aio.AioRpcError):
            await images.pull(name, username=USER, password="wrong")
        id_ = await images.pull(name, username=USER, password=PASSWORD)
        await images.remove(id_)
        with pytest.raises(aio.AioRpcError):
            await images.pull(name, username=USER, password=PASSWORD, server_address="other.io")

    await run(test)


async def test_what_can_not_be_pulled(run, registry: str) -> None:
    async def test(images: Images) -> None:
        with pytest.raises(aio.AioRpcError) as missing:
            await images.pull(f"{registry}/team/app:v9")
        assert missing.value.code() is grpc.StatusCode.NOT_FOUND
        assert "not found" in missing.value.details()
        with pytest.raises(aio.AioRpcError) as dead:
            await images.pull("127.0.0.1:1/team/app:v1")
        assert "connection refused" in dead.value.details().lower() or "1" in dead.value.details()
        with pytest.raises(aio.AioRpcError):
            await images.pull("Not A Name")
        await images.remove("never/seen:it")

    await run(test)
