"""What the parts of this server need of each other, in the words of the one who asks."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec
from msgspec import field

from pilothouse.cri_shim.records import ContainerIo, ContainerRecord, SandboxRecord


class ImageConfig(msgspec.Struct, frozen=True, kw_only=True):
    """An unpacked image and what its author says of it."""

    id: str  # the digest of its config: sha256:…
    ref: str  # a name by which the runtime knows it, with its digest when there is one
    name: str = ""  # a name with a tag, for people
    chain_id: str  # the committed snapshot that its containers' snapshots have as parent
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: tuple[str, ...] = ()  # NAME=value
    user: str = ""
    working_dir: str = ""
    stop_signal: str = ""
    volumes: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)


class Images(Protocol):
    """Asked by containers and sandboxes; implemented beside ``images``."""

    async def resolve(self, ref: str) -> ImageConfig:
        """The image of this name, digest or id, unpacked; NotFound when it is not at hand."""

    async def pull(self, ref: str) -> ImageConfig:
        """Fetch it (the pause image, when nobody did) without credentials."""


class Logs(Protocol):
    """The output of main processes; implemented in ``logs``. Every call may be repeated."""

    async def open(self, io: ContainerIo) -> None:
        """Make the FIFOs that are missing, read them from now on, and write the log file.

        Called before a task is created, and again for what runs after a restart of this server.
        """

    async def close(self, container_id: str) -> None:
        """The process ended: write what is left (bounded wait), close everything."""

    async def reopen(self, container_id: str) -> None:
        """The file was moved away: go on in a new one."""

    async def remove(self, container_id: str) -> None:
        """Remove the FIFOs."""


class Exit(NamedTuple):
    """How a process ended; ``at`` in nanoseconds since 1970."""

    status: int
    at: int


class Mounted(NamedTuple):
    """A mount as containerd speaks of it."""

    type: str
    source: str
    options: tuple[str, ...]
    target: str = ""


class Processes(Protocol):
    """Commands in running containers: ``adapters.tasks.ContainerdTasks``, asked by ``streaming``.

    Without an ``exec_id`` the main process is meant. NotFound when it is not there.
    """

    async def exec(self, io: ContainerIo, exec_id: str, process: Mapping[str, Any]) -> None:
        """Add a process (an OCI process) whose streams are the FIFOs of ``io``."""

    async def start(self, container_id: str, exec_id: str = "") -> int:
        """Start what was added; its pid."""

    async def wait(self, container_id: str, exec_id: str = "") -> Exit:
        """Until it ends."""

    async def kill(self, container_id: str, signal: int, exec_id: str = "") -> None:
        """Send a signal; fine when it ended."""

    async def delete_process(self, container_id: str, exec_id: str) -> Exit:
        """Take away a process that was added and ended."""

    async def resize(self, container_id: str, exec_id: str, width: int, height: int) -> None:
        """The size of its terminal."""

    async def close_stdin(self, container_id: str, exec_id: str = "") -> None:
        """Nothing more comes."""


class Records(Protocol):
    """What is known now: ``store.records.Store``, asked by ``streaming`` and ``stats``."""

    def sandbox(self, id_: str) -> SandboxRecord:
        """By its id or an unambiguous beginning of it; NotFound."""

    def container(self, id_: str) -> ContainerRecord:
        """By its id or an unambiguous beginning of it; NotFound."""

    def sandboxes(self) -> Sequence[SandboxRecord]: ...

    def containers(self) -> Sequence[ContainerRecord]: ...

    def io(self, id_: str) -> ContainerIo:
        """The streams of a container's main process; NotFound."""
