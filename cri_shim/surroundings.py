"""What containers and sandboxes need of the runtime and of the machine."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from pilothouse.cri_shim.configs import Mount
from pilothouse.cri_shim.oci.facts import Device, SandboxFiles
from pilothouse.cri_shim.oci.users import Accounts
from pilothouse.cri_shim.ports import Exit, Mounted
from pilothouse.cri_shim.records import ContainerIo, SandboxRecord


class Made(NamedTuple):
    """A container to keep in containerd; ``kind`` is sandbox or container."""

    id: str
    kind: str
    image: str
    spec: Mapping[str, Any]
    runtime: str
    labels: Mapping[str, str]
    snapshotter: str = ""
    snapshot_key: str = ""


class Task(NamedTuple):
    """A main process as the runtime sees it."""

    id: str
    pid: int
    is_running: bool
    exit: Exit


class Ended(NamedTuple):
    """A main process ended."""

    id: str
    exit: Exit


class OutOfMemory(NamedTuple):
    """The kernel killed something of a container."""

    id: str


class RuntimeEvents(Protocol):
    """What the runtime tells by itself."""

    def listen(self) -> AsyncIterator[Ended | OutOfMemory | None]:
        """None first, when the stream is asked for; ends with an ApiError."""


class Tasks(Protocol):
    """Main processes."""

    async def create(
        self, container_id: str, rootfs: Sequence[Mounted], io: ContainerIo | None
    ) -> int: ...
    async def start(self, container_id: str) -> int: ...
    async def delete(self, container_id: str) -> Exit | None: ...
    async def kill(self, container_id: str, signal: int, *, everyone: bool = False) -> None: ...
    async def update(self, container_id: str, resources: Mapping[str, Any]) -> None: ...
    async def list(self) -> Sequence[Task]: ...
    async def find(self, container_id: str) -> Task | None: ...


class Objects(Protocol):
    """What tasks are created from."""

    async def create(self, made: Made) -> None: ...
    async def update_spec(self, id_: str, change: Mapping[str, Any]) -> None: ...
    async def delete(self, id_: str) -> None: ...
    async def ids(self) -> set[str]: ...


class Snapshots(Protocol):
    """Root file systems."""

    name: str

    async def prepare(self, key: str, parent: str) -> Sequence[Mounted]: ...
    async def view(self, key: str, parent: str) -> Sequence[Mounted]: ...
    async def mounts(self, key: str) -> Sequence[Mounted]: ...
    async def remove(self, key: str) -> None: ...


class Network(Protocol):
    """Where sandboxes are attached."""

    def problem(self) -> str: ...
    async def attach(self, record: SandboxRecord) -> tuple[str, ...]: ...
    async def detach(self, record: SandboxRecord) -> None: ...


class SandboxPlaces(Protocol):
    """Files, mounts and namespaces of sandboxes."""

    def sandbox(self, id_: str, *, shares_ipc: bool) -> SandboxFiles: ...
    def netns(self, id_: str) -> str: ...
    async def make(self, record: SandboxRecord, files: SandboxFiles) -> None: ...
    async def release(self, record: SandboxRecord) -> None: ...
    async def remove(self, record: SandboxRecord) -> None: ...
    async def pause_root(self, chain_id: str) -> str: ...


class ContainerPlaces(Protocol):
    """Files, mounts and devices of containers."""

    async def accounts(self, chain_id: str, key: str, mounts: Sequence[Mounted]) -> Accounts: ...
    async def mounts(self, id_: str, asked: Sequence[Mount]) -> tuple[Mount, ...]: ...
    async def volumes(
        self, id_: str, paths: Sequence[str], mounts: Sequence[Mounted]
    ) -> tuple[tuple[str, str], ...]: ...
    def devices(self, asked: Any, *, privileged: bool) -> tuple[Device, ...]: ...
    def seccomp(self, localhost_ref: str) -> dict[str, Any]: ...
    def was_short_of_memory(self, cgroup_path: str) -> bool: ...
    async def release(self, id_: str) -> None: ...
