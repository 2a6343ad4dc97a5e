"""The directory ``plugins_registry``: a socket that appears in it belongs to a plugin.

Each is asked what it is, and told whether it was taken. A socket that is made anew is asked again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from grpc import aio

from pilothouse.protos.registration.v1 import api_pb2 as pb
from pilothouse.protos.registration.v1.api_pb2_grpc import RegistrationStub
from pilothouse.services.kubelet.adapters.machine.inotify import IN_CREATE, IN_DELETE, Changes
from pilothouse.services.machinery.errors import ApiError
from pilothouse.services.runtime import telemetry
from pilothouse.services.runtime.clock import Clock
from pilothouse.services.runtime.rpc.channel import open_channel

DEVICE_PLUGIN = "DevicePlugin"
RECORDED = ("CSIPlugin", "DRAPlugin")
CALL_SECONDS_MAX = 10.0
LOOK_SECONDS = 60.0
RETRY_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Plugin:
    """What a socket said of itself."""

    type: str
    name: str
    endpoint: str
    versions: tuple[str, ...]


Register = Callable[[str, Path, str], Awaitable[None]]


class PluginSockets:
    """``register`` takes a device plugin: resource, endpoint, version."""

    def __init__(self, directory: Path, register: Register, clock: Clock) -> None:
        self.directory = directory
        self.plugins: dict[Path, Plugin] = {}
        self._register = register
        self._clock = clock
        self._asked: dict[Path, tuple[int, int]] = {}
        self._log = telemetry.logger(part="plugins")

    async def run(self) -> None:
        """Until cancelled."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o750)
        changes = Changes(self.directory, IN_CREATE | IN_DELETE)
        try:
            while True:
                wait = LOOK_SECONDS if await self._look() else RETRY_SECONDS
                await changes.wait(wait)
        finally:
            changes.close()

    async def _look(self) -> bool:
        """Ask whom nobody has asked yet; whether all have answered."""
        present: dict[Path, tuple[int, int]] = {}
        for path in self.directory.rglob("*.sock"):
            try:
                state = path.stat()
            except OSError:
                continue
            if path.is_socket():
                present[path] = state.st_ino, state.st_mtime_ns
        for path in [path for path in self._asked if self._asked[path] != present.get(path)]:
            del self._asked[path]
            self.plugins.pop(path, None)
        fresh = [path for path in present if path not in self._asked]
        async with asyncio.TaskGroup() as group:
            asking = [group.create_task(self._ask(path)) for path in fresh]
        for path, task in zip(fresh, asking, strict=True):
            if task.result():
                self._asked[path] = present[path]
        return all(task.result() for task in asking)

    async def _ask(self, path: Path) -> bool:
        """Whether it has answered."""
        async with open_channel(f"unix://{path}") as channel:
            stub = RegistrationStub(channel)
            try:
                answer = await stub.GetInfo(pb.InfoRequest(), timeout=CALL_SECONDS_MAX)
                versions = tuple(answer.supported_versions)
                plugin = Plugin(answer.type, answer.name, answer.endpoint, versions)
                wrong = await self._take(path, plugin)
                status = pb.RegistrationStatus(plugin_registered=not wrong, error=wrong)
                await stub.NotifyRegistrationStatus(status, timeout=CALL_SECONDS_MAX)
            except aio.AioRpcError as error:
                self._log.info("plugin does not answer", path=str(path), error=error.details())
                return False
        self._log.info("plugin", type=plugin.type, name=plugin.name, error=wrong)
        return True

    async def _take(self, path: Path, plugin: Plugin) -> str:
        """Why it is not taken; empty when it is."""
        if plugin.type == DEVICE_PLUGIN:
            endpoint = Path(plugin.endpoint) if plugin.endpoint else path
            version = plugin.versions[0] if len(plugin.versions) == 1 else "v1beta1"
            if plugin.versions and version not in plugin.versions:
                version = plugin.versions[0]
            try:
                await self._register(plugin.name, endpoint, version)
            except ApiError as error:
                return error.message
        elif plugin.type not in RECORDED:
            return f"no handler registered for plugin type: {plugin.type} at socket {path}"
        self.plugins[path] = plugin
        return ""
