"""CRI as a client calls it, without a kubelet between."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
from grpc import aio
from kit.containerd import BUSYBOX, Containerd

from pilothouse.protos.cri.v1 import api_pb2 as cri
from pilothouse.protos.cri.v1.api_pb2_grpc import ImageServiceStub, RuntimeServiceStub
from pilothouse.services.runtime.rpc.channel import open_channel

WAITS = ["sh", "-c", "trap 'exit 0' TERM; echo ready; while :; do sleep 0.1; done"]


class Calls:
    """The calls, shortly; what is made goes when the block ends."""

    def __init__(self, runtime: Containerd, channel: aio.Channel) -> None:
        self.runtime = runtime
        self.stub = RuntimeServiceStub(channel)
        self.images = ImageServiceStub(channel)
        self.uid = uuid.uuid4().hex[:12]
        self.made: dict[str, cri.PodSandboxConfig] = {}

    def config(self, name: str = "pod", **linux: Any) -> cri.PodSandboxConfig:
        logs = self.runtime.root / "logs" / self.uid / name
        logs.mkdir(parents=True, exist_ok=True)
        return cri.PodSandboxConfig(
            metadata={"name": name, "uid": self.uid, "namespace": "default"},
            hostname="web", log_directory=str(logs), labels={"uid": self.uid, "name": name},
            annotations={"note": name},
            linux={"cgroup_parent": self.runtime.cgroup_root, **linux},
        )  # fmt: skip

    async def sandbox(self, config: cri.PodSandboxConfig | None = None) -> str:
        config = config or self.config()
        request = cri.RunPodSandboxRequest(config=config)
        found = (await self.stub.RunPodSandbox(request)).pod_sandbox_id
        self.made[found] = config
        return found

    async def create(self, sandbox_id: str, name: str = "main", **fields: Any) -> str:
        config = cri.ContainerConfig(
            metadata={"name": name}, log_path=f"{name}.log",
            labels={"uid": self.uid, "container": name},
            **{"image": {"image": BUSYBOX}, "command": WAITS, **fields},
        )  # fmt: skip
        within = self.made.get(sandbox_id) or self.config()
        request = cri.CreateContainerRequest(
            pod_sandbox_id=sandbox_id, config=config, sandbox_config=within
        )
        return (await self.stub.CreateContainer(request)).container_id

    async def start(self, id_: str) -> None:
        await self.stub.StartContainer(cri.StartContainerRequest(container_id=id_))

    async def run(self, sandbox_id: str, name: str = "main", **fields: Any) -> str:
        id_ = await self.create(sandbox_id, name, **fields)
        await self.start(id_)
        return id_

    async def status(self, id_: str) -> cri.ContainerStatus:
        request = cri.ContainerStatusRequest(container_id=id_)
        return (await self.stub.ContainerStatus(request)).status

    async def sandbox_status(self, id_: str) -> cri.PodSandboxStatus:
        request = cri.PodSandboxStatusRequest(pod_sandbox_id=id_)
        return (await self.stub.PodSandboxStatus(request)).status

    async def ended(self, id_: str) -> cri.ContainerStatus:
        """When it has."""
        for _ in range(400):
            found = await self.status(id_)
            if found.state == cri.CONTAINER_EXITED:
                return found
            await asyncio.sleep(0.05)
        raise AssertionError(f"it does not end: {found}")

    async def prints(self, sandbox_id: str, script: str, **fields: Any) -> str:
        """What a shell script prints in a container of its own, standard error included."""
        name = uuid.uuid4().hex[:8]
        id_ = await self.run(sandbox_id, name, command=["sh", "-c", f"{{ {script}; }} 2>&1"],
                             **fields)  # fmt: skip
        return "\n".join(await self.lines((await self.ended(id_)).log_path))

    async def lines(self, log_path: str, count: int = 1) -> list[str]:
        """Of a log, without what is before each; at least ``count``, if they come."""
        found: list[str] = []
        for _ in range(100):
            path = Path(log_path)
            found = path.read_text().splitlines() if path.exists() else []
            if len(found) >= count:
                break
            await asyncio.sleep(0.05)
        return [line.split(" ", 3)[3] for line in found]

    async def exec(self, id_: str, *command: str, timeout: int = 0) -> cri.ExecSyncResponse:
        request = cri.ExecSyncRequest(container_id=id_, cmd=command, timeout=timeout)
        return await self.stub.ExecSync(request)

    async def stop(self, id_: str, timeout: int = 0) -> None:
        await self.stub.StopContainer(cri.StopContainerRequest(container_id=id_, timeout=timeout))

    async def remove(self, id_: str) -> None:
        await self.stub.RemoveContainer(cri.RemoveContainerRequest(container_id=id_))

    async def stop_sandbox(self, id_: str) -> None:
        await self.stub.StopPodSandbox(cri.StopPodSandboxRequest(pod_sandbox_id=id_))

    async def remove_sandbox(self, id_: str) -> None:
        await self.stub.RemovePodSandbox(cri.RemovePodSandboxRequest(pod_sandbox_id=id_))

    async def containers(self, **fields: Any) -> list[cri.Container]:
        """Of this test, and by a filter."""
        selector = {"uid": self.uid, **fields.pop("labels", {})}
        request = cri.ListContainersRequest(filter={"label_selector": selector, **fields})
        return list((await self.stub.ListContainers(request)).containers)

    async def sandboxes(self, **fields: Any) -> list[cri.PodSandbox]:
        selector = {"uid": self.uid, **fields.pop("labels", {})}
        request = cri.ListPodSandboxRequest(filter={"label_selector": selector, **fields})
        return list((await self.stub.ListPodSandbox(request)).items)


@contextlib.asynccontextmanager
async def calling(runtime: Containerd) -> AsyncIterator[Calls]:
    """A client, until the block ends."""
    async with open_channel(runtime.endpoint) as channel:
        calls = Calls(runtime, channel)
        try:
            yield calls
        finally:
            for id_ in calls.made:
                # containerd 1.6 does not know what is gone, when it is asked to stop it.
                with contextlib.suppress(aio.AioRpcError):
                    await calls.stop_sandbox(id_)
                await calls.remove_sandbox(id_)


async def refusal(call: Any) -> grpc.StatusCode:
    """The code with which a call is refused."""
    try:
        await call
    except aio.AioRpcError as error:
        return error.code()
    raise AssertionError("it was not refused")
