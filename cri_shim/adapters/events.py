"""What happens in the runtime, as it tells it: ends of main processes and lacks of memory."""

from collections.abc import AsyncIterator

from grpc import aio

from pilothouse.cri_shim.adapters.containerd import METADATA, NAMESPACE
from pilothouse.cri_shim.adapters.tasks import nanoseconds
from pilothouse.cri_shim.ports import Exit
from pilothouse.cri_shim.surroundings import Ended, OutOfMemory
from pilothouse.protos.containerd import events_pb2
from pilothouse.protos.containerd import tasks_pb2 as told
from pilothouse.protos.containerd.events_pb2_grpc import EventsStub
from pilothouse.services.runtime.rpc.errors import from_rpc

EXIT, OOM = "/tasks/exit", "/tasks/oom"
FILTERS = tuple(f'namespace=={NAMESPACE},topic=="{topic}"' for topic in (EXIT, OOM))


class ContainerdEvents:
    """One stream at a time."""

    def __init__(self, channel: aio.Channel) -> None:
        self._events = EventsStub(channel)

    async def listen(self) -> AsyncIterator[Ended | OutOfMemory | None]:
        """None first, when the stream is asked for; ends with an ApiError."""
        call = self._events.Subscribe(
            events_pb2.SubscribeRequest(filters=FILTERS), metadata=METADATA
        )
        try:
            # Nothing tells that the stream stands: whoever looks now looks again soon after.
            yield None
            async for envelope in call:
                if envelope.topic == OOM:
                    yield OutOfMemory(told.TaskOOM.FromString(envelope.event.value).container_id)
                    continue
                ended = told.TaskExit.FromString(envelope.event.value)
                if ended.id == ended.container_id:
                    yield Ended(ended.id, Exit(ended.exit_status, nanoseconds(ended.exited_at)))
        except aio.AioRpcError as error:
            raise from_rpc(error) from None
        finally:
            call.cancel()
