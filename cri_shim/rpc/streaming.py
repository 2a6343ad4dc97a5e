"""CRI's calls for commands, terminals, ports and logs."""

from google.protobuf.message import Message

from pilothouse.cri_shim.ports import Logs, Records
from pilothouse.cri_shim.records import RUNNING
from pilothouse.cri_shim.streaming.commands import Commands
from pilothouse.cri_shim.streaming.server import StreamingServer
from pilothouse.protos.cri.v1 import api_pb2 as cri
from pilothouse.services.machinery.errors import BadRequest
from pilothouse.services.runtime.rpc.errors import Context

STREAMS = ("stdin", "stdout", "stderr", "tty")


class StreamingCalls:
    """A part of the RuntimeService."""

    def __init__(
        self, server: StreamingServer, commands: Commands, logs: Logs, records: Records
    ) -> None:
        self._server = server
        self._commands = commands
        self._logs = logs
        self._records = records

    async def ExecSync(
        self, request: cri.ExecSyncRequest, context: Context
    ) -> cri.ExecSyncResponse:
        """A command and all it prints, 16 MiB of each stream at most."""
        if not request.cmd:
            raise BadRequest("command cannot be empty")
        found = await self._commands.collect(request.container_id, request.cmd, request.timeout)
        return cri.ExecSyncResponse(
            stdout=found.stdout, stderr=found.stderr, exit_code=found.exit_code
        )

    async def Exec(self, request: cri.ExecRequest, context: Context) -> cri.ExecResponse:
        """Where to run a command with streams."""
        if not request.cmd:
            raise BadRequest("command cannot be empty")
        url = self._server.exec_url(request.container_id, request.cmd, _streams(request))
        return cri.ExecResponse(url=url)

    async def Attach(self, request: cri.AttachRequest, context: Context) -> cri.AttachResponse:
        """Where to meet the container's own process."""
        url = self._server.attach_url(request.container_id, _streams(request))
        return cri.AttachResponse(url=url)

    async def PortForward(
        self, request: cri.PortForwardRequest, context: Context
    ) -> cri.PortForwardResponse:
        """Where to reach the sandbox's ports."""
        return cri.PortForwardResponse(url=self._server.forward_url(request.pod_sandbox_id))

    async def ReopenContainerLog(
        self, request: cri.ReopenContainerLogRequest, context: Context
    ) -> cri.ReopenContainerLogResponse:
        """Go on in a new file."""
        record = self._records.container(request.container_id)
        if record.state != RUNNING:
            raise BadRequest("container is not running")
        await self._logs.reopen(record.id)
        return cri.ReopenContainerLogResponse()


def _streams(request: Message) -> frozenset[str]:
    return frozenset(name for name in STREAMS if getattr(request, name))
