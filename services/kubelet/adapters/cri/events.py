"""Exits of containers as the runtime tells them, so that nobody has to ask.

CRI has its own stream since containerd 1.7; before that containerd's native events say the same.
"""

from collections.abc import AsyncIterator

import grpc
from grpc import aio

from pilothouse.protos.containerd import events_pb2, tasks_pb2
from pilothouse.protos.containerd.events_pb2_grpc import EventsStub
from pilothouse.protos.cri.v1 import api_pb2 as cri
from pilothouse.protos.cri.v1.api_pb2_grpc import RuntimeServiceStub
from pilothouse.services.runtime.rpc.errors import from_rpc

NAMESPACE = "k8s.io"
METADATA = (("containerd-namespace", NAMESPACE),)
"""By which containerd's native services know whose containers are meant."""
FILTERS = (f'namespace=={NAMESPACE},topic=="/tasks/exit"',)


class RuntimeEvents:
    """One stream at a time; a runtime with neither kind raises MethodNotAllowed."""

    def __init__(self, channel: aio.Channel) -> None:
        self._runtime = RuntimeServiceStub(channel)
        self._events = EventsStub(channel)
        self._is_native = False

    @property
    def listens_to(self) -> str:
        """``cri``, until the runtime was found to have only containerd's: ``native``."""
        return "native" if self._is_native else "cri"

    async def exits(self) -> AsyncIterator[str]:
        """Ids of containers and sandboxes whose main process ended; ends with an ApiError."""
        try:
            if not self._is_native:
                async for id_ in self._cri():
                    yield id_
                return
        except aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                raise from_rpc(error) from None
            self._is_native = True
        try:
            async for id_ in self._native():
                yield id_
        except aio.AioRpcError as error:
            raise from_rpc(error) from None

    async def _cri(self) -> AsyncIterator[str]:
        call = self._runtime.GetContainerEvents(cri.GetEventsRequest())
        try:
            async for event in call:
                if event.container_event_type == cri.CONTAINER_STOPPED_EVENT:
                    yield event.container_id
        finally:
            call.cancel()

    async def _native(self) -> AsyncIterator[str]:
        call = self._events.Subscribe(
            events_pb2.SubscribeRequest(filters=FILTERS),
            metadata=METADATA,
        )
        try:
            async for envelope in call:
                ended = tasks_pb2.TaskExit.FromString(envelope.event.value)
                if ended.id == ended.container_id:
                    yield ended.container_id
        finally:
            call.cancel()
