"""CRI as it is: one sandbox, one container of busybox in it, and the streams of its commands."""

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from grpc import aio
from kit.containerd import Containerd

from pilothouse.protos.cri.v1 import api_pb2 as cri
from pilothouse.protos.cri.v1.api_pb2_grpc import RuntimeServiceStub
from pilothouse.services.runtime.rpc.channel import open_channel
from pilothouse.services.runtime.spdy.connection import Connection, Stream, upgrade

IMAGE = "docker.io/library/busybox:latest"
SLEEP = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"]


class Running:
    """One container that runs."""

    def __init__(self, stub: RuntimeServiceStub, sandbox_id: str, id_: str, log: Path) -> None:
        self.stub = stub
        self.sandbox_id = sandbox_id
        self.id = id_
        self.log = log

    async def exec_sync(self, *command: str, timeout: int = 0) -> cri.ExecSyncResponse:
        request = cri.ExecSyncRequest(container_id=self.id, cmd=command, timeout=timeout)
        return await self.stub.ExecSync(request)

    async def exec_url(self, *command: str, **streams: bool) -> str:
        request = cri.ExecRequest(container_id=self.id, cmd=command, **streams)
        return (await self.stub.Exec(request)).url

    async def attach_url(self, **streams: bool) -> str:
        return (await self.stub.Attach(cri.AttachRequest(container_id=self.id, **streams))).url

    async def ended(self) -> cri.ContainerStatus:
        """Its status, once its process has ended and its log is written."""
        request = cri.ContainerStatusRequest(container_id=self.id)
        while True:
            status = (await self.stub.ContainerStatus(request)).status
            if status.state == cri.CONTAINER_EXITED:
                return status
            await asyncio.sleep(0.05)

    async def stop(self) -> None:
        await self.stub.StopContainer(cri.StopContainerRequest(container_id=self.id, timeout=1))

    def lines(self) -> list[str]:
        """What the log says, without the times."""
        return [line.split(" ", 1)[1] for line in self.log.read_text().splitlines()]


@contextlib.asynccontextmanager
async def running(
    runtime: Containerd, command: list[str] = SLEEP, **container: object
) -> AsyncIterator[Running]:
    """Until the block ends; ``container`` are fields of its ContainerConfig."""
    name = f"raw-{uuid.uuid4().hex[:12]}"
    directory = runtime.root / "logs" / name
    directory.mkdir(parents=True)
    async with open_channel(runtime.endpoint) as channel:
        stub = RuntimeServiceStub(channel)
        sandbox = cri.PodSandboxConfig(
            metadata=cri.PodSandboxMetadata(name=name, uid=name, namespace="default"),
            log_directory=str(directory),
            labels={"app": name},
            linux=cri.LinuxPodSandboxConfig(cgroup_parent=f"{runtime.cgroup_root}/pod{name}"),
        )
        made = await stub.RunPodSandbox(cri.RunPodSandboxRequest(config=sandbox))
        sandbox_id = made.pod_sandbox_id
        try:
            config = cri.ContainerConfig(
                metadata=cri.ContainerMetadata(name="main"),
                image=cri.ImageSpec(image=IMAGE),
                command=command,
                log_path="main.log",
                labels={"app": name},
                **container,
            )
            created = await stub.CreateContainer(
                cri.CreateContainerRequest(
                    pod_sandbox_id=sandbox_id, config=config, sandbox_config=sandbox
                )
            )
            id_ = created.container_id
            await stub.StartContainer(cri.StartContainerRequest(container_id=id_))
            yield Running(stub, sandbox_id, id_, directory / "main.log")
        finally:
            await stub.StopPodSandbox(cri.StopPodSandboxRequest(pod_sandbox_id=sandbox_id))
            await stub.RemovePodSandbox(cri.RemovePodSandboxRequest(pod_sandbox_id=sandbox_id))


class Client:
    """A SPDY client of the streaming server."""

    def __init__(self, connection: Connection, streams: dict[str, Stream]) -> None:
        self.connection = connection
        self.streams = streams

    async def all_of(self, name: str) -> bytes:
        return b"".join([chunk async for chunk in self.streams[name].read()])

    async def status(self) -> dict:
        return json.loads(await self.all_of("error"))


@contextlib.asynccontextmanager
async def spdy(url: str, *names: str, protocol: str = "v4.channel.k8s.io") -> AsyncIterator[Client]:
    """Connected, with these streams and ``error`` open."""
    connection = Connection(*await upgrade(url, protocol))
    async with asyncio.TaskGroup() as group:
        receiving = group.create_task(connection.run())
        streams = {name: await connection.open({"streamType": name}) for name in ("error", *names)}
        yield Client(connection, streams)
        await connection.close()
        receiving.cancel()


async def refused(call, code) -> str:
    """The words with which ``call`` is refused with that code."""
    with pytest.raises(aio.AioRpcError) as found:
        await call
    assert found.value.code() is code, found.value
    return found.value.details()
