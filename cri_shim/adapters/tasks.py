"""Processes of containers, through containerd's tasks service."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import aio

from pilothouse.cri_shim.adapters.containerd import (
    CALL_SECONDS_MAX,
    METADATA,
    PROCESS_URL,
    RESOURCES_URL,
    answer,
)
from pilothouse.cri_shim.ports import Exit, Mounted
from pilothouse.cri_shim.records import ContainerIo
from pilothouse.cri_shim.surroundings import Task
from pilothouse.protos.containerd import runc_options_pb2, task_pb2, types_pb2
from pilothouse.protos.containerd import task_service_pb2 as tasks
from pilothouse.protos.containerd.task_service_pb2_grpc import TasksStub
from pilothouse.services.machinery.errors import NotFound

OPTIONS_URL = "containerd.runc.v1.Options"


class ContainerdTasks:
    """Creates, starts, signals and deletes main processes."""

    def __init__(self, channel: aio.Channel, options: Mapping[str, str | bool]) -> None:
        self._tasks = TasksStub(channel)
        value = runc_options_pb2.Options(
            binary_name=str(options.get("binary_name", "")),
            root=str(options.get("root", "")),
            systemd_cgroup=bool(options.get("systemd_cgroup", False)),
        )
        self._options = AnyMessage(type_url=OPTIONS_URL, value=value.SerializeToString())

    async def create(
        self, container_id: str, rootfs: Sequence[Mounted], io: ContainerIo | None
    ) -> int:
        """Make the process up to its first instruction; its pid."""
        request = tasks.CreateTaskRequest(
            container_id=container_id,
            rootfs=[
                types_pb2.Mount(
                    type=item.type, source=item.source, target=item.target, options=item.options
                )
                for item in rootfs
            ],
            options=self._options,
        )
        if io is not None:
            request.stdin, request.stdout, request.stderr = io.stdin, io.stdout, io.stderr
            request.terminal = io.tty
        return (await self._answer(self._tasks.Create(request, **_CALL))).pid

    async def start(self, container_id: str) -> int:
        """Let it run; its pid."""
        request = tasks.StartRequest(container_id=container_id)
        return (await self._answer(self._tasks.Start(request, **_CALL))).pid

    async def delete(self, container_id: str) -> Exit | None:
        """Take away a process that ended; None when there is none."""
        request = tasks.DeleteTaskRequest(container_id=container_id)
        try:
            found = await self._answer(self._tasks.Delete(request, **_CALL))
        except NotFound:
            return None
        return Exit(found.exit_status, nanoseconds(found.exited_at))

    async def kill(self, container_id: str, signal: int, *, everyone: bool = False) -> None:
        """Send a signal; ``everyone``: to all processes in it. Fine when it ended."""
        request = tasks.KillRequest(container_id=container_id, signal=signal, all=everyone)
        with suppress(NotFound):
            await self._answer(self._tasks.Kill(request, **_CALL))

    async def update(self, container_id: str, resources: Mapping[str, Any]) -> None:
        """Other limits (LinuxResources of the OCI) for what runs."""
        value = AnyMessage(type_url=RESOURCES_URL, value=msgspec.json.encode(resources))
        request = tasks.UpdateTaskRequest(container_id=container_id, resources=value)
        await self._answer(self._tasks.Update(request, **_CALL))

    async def list(self) -> list[Task]:
        """All there are."""
        found = await self._answer(self._tasks.List(tasks.ListTasksRequest(), **_CALL))
        return [_task(item) for item in found.tasks]

    async def find(self, container_id: str) -> Task | None:
        """One; None when there is none."""
        request = tasks.GetRequest(container_id=container_id)
        try:
            return _task((await self._answer(self._tasks.Get(request, **_CALL))).process)
        except NotFound:
            return None

    _answer = staticmethod(answer)


class ContainerdProcesses:
    """Commands beside the main process, and terminals and input of both."""

    def __init__(self, channel: aio.Channel) -> None:
        self._tasks = TasksStub(channel)

    async def exec(self, io: ContainerIo, exec_id: str, process: Mapping[str, Any]) -> None:
        """Add a process (an OCI process) whose streams are the FIFOs of ``io``."""
        request = tasks.ExecProcessRequest(
            container_id=io.container_id,
            exec_id=exec_id,
            stdin=io.stdin,
            stdout=io.stdout,
            stderr=io.stderr,
            terminal=io.tty,
            spec=AnyMessage(type_url=PROCESS_URL, value=msgspec.json.encode(process)),
        )
        await answer(self._tasks.Exec(request, **_CALL))

    async def start(self, container_id: str, exec_id: str = "") -> int:
        """Start what was added; its pid."""
        request = tasks.StartRequest(container_id=container_id, exec_id=exec_id)
        return (await answer(self._tasks.Start(request, **_CALL))).pid

    async def wait(self, container_id: str, exec_id: str = "") -> Exit:
        """Until it ends."""
        request = tasks.WaitRequest(container_id=container_id, exec_id=exec_id)
        found = await answer(self._tasks.Wait(request, metadata=METADATA))
        return Exit(found.exit_status, nanoseconds(found.exited_at))

    async def kill(self, container_id: str, signal: int, exec_id: str = "") -> None:
        """Send a signal; fine when it ended."""
        request = tasks.KillRequest(container_id=container_id, exec_id=exec_id, signal=signal)
        with suppress(NotFound):
            await answer(self._tasks.Kill(request, **_CALL))

    async def delete_process(self, container_id: str, exec_id: str) -> Exit:
        """Take away a process that was added and ended."""
        request = tasks.DeleteProcessRequest(container_id=container_id, exec_id=exec_id)
        found = await answer(self._tasks.DeleteProcess(request, **_CALL))
        return Exit(found.exit_status, nanoseconds(found.exited_at))

    async def resize(self, container_id: str, exec_id: str, width: int, height: int) -> None:
        """The size of its terminal."""
        request = tasks.ResizePtyRequest(
            container_id=container_id, exec_id=exec_id, width=width, height=height
        )
        await answer(self._tasks.ResizePty(request, **_CALL))

    async def close_stdin(self, container_id: str, exec_id: str = "") -> None:
        """Nothing more comes."""
        request = tasks.CloseIORequest(container_id=container_id, exec_id=exec_id, stdin=True)
        await answer(self._tasks.CloseIO(request, **_CALL))


_CALL: Any = {"metadata": METADATA, "timeout": CALL_SECONDS_MAX}


def nanoseconds(stamp: Timestamp) -> int:
    """Since 1970."""
    return stamp.seconds * 1_000_000_000 + stamp.nanos


def _task(item: task_pb2.Process) -> Task:
    running = item.status in {task_pb2.RUNNING, task_pb2.PAUSED, task_pb2.PAUSING}
    id_ = item.container_id or item.id
    return Task(id_, item.pid, running, Exit(item.exit_status, nanoseconds(item.exited_at)))
