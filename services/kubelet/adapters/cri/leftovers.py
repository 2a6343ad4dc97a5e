"""Tasks that containerd runs and its CRI knows nothing of.

A kubelet that dies while it starts a container can leave one: the CRI takes the start for failed,
then refuses to remove the container because it runs. Only the native service ends such a task.
"""

import signal

import grpc
from grpc import aio

from pilothouse.protos.containerd import task_service_pb2 as tasks
from pilothouse.protos.containerd.task_service_pb2_grpc import TasksStub
from pilothouse.services.kubelet.adapters.cri.events import METADATA
from pilothouse.services.runtime.rpc.errors import from_rpc

CALL_SECONDS_MAX = 30.0
ABSENT = (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNIMPLEMENTED)


class Leftovers:
    """Of one containerd; with another runtime there are none."""

    def __init__(self, channel: aio.Channel) -> None:
        self._tasks = TasksStub(channel)

    async def end(self, id_: str) -> None:
        """Kill and forget the container's task, if there is one. Raises ApiError."""
        kill = tasks.KillRequest(container_id=id_, signal=signal.SIGKILL, all=True)
        wait = tasks.WaitRequest(container_id=id_)
        delete = tasks.DeleteTaskRequest(container_id=id_)
        service, limit = self._tasks, CALL_SECONDS_MAX
        try:
            try:
                await service.Kill(kill, metadata=METADATA, timeout=limit)
            except aio.AioRpcError as error:
                # It ended already, and nobody has fetched its end.
                if error.code() is not grpc.StatusCode.NOT_FOUND:
                    raise
            await service.Wait(wait, metadata=METADATA, timeout=limit)
            await service.Delete(delete, metadata=METADATA, timeout=limit)
        except aio.AioRpcError as error:
            if error.code() not in ABSENT:
                raise from_rpc(error) from None
