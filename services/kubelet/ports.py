"""What the kubelet needs of the outside, in its own words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pilothouse.services.kubelet.configs import ContainerConfig, SandboxConfig
from pilothouse.services.kubelet.observed import Observed
from pilothouse.services.kubelet.views import Pod
from pilothouse.services.kubelet.volumes.sources import TokenSource
from pilothouse.services.machinery.kinds.services import Service
from pilothouse.services.machinery.objects import Key


@dataclass(frozen=True, slots=True)
class RuntimeState:
    """What the runtime says of itself; a problem is a sentence, empty when there is none."""

    name: str
    version: str
    runtime_problem: str = ""
    network_problem: str = ""


@dataclass(frozen=True, slots=True)
class Ran:
    """A command's outcome."""

    exit_code: int
    output: bytes


class Sandboxes(Protocol):
    """The pods that the runtime runs. Calls raise ApiError; absence is no error of a removal."""

    async def observe(self, uid: str) -> Observed: ...
    async def run_sandbox(self, config: SandboxConfig) -> str: ...
    async def stop_sandbox(self, id_: str) -> None: ...
    async def remove_sandbox(self, id_: str) -> None: ...
    def forget(self, observed: Observed) -> None: ...


class Containers(Protocol):
    """The containers in them."""

    async def create_container(
        self, sandbox_id: str, sandbox: SandboxConfig, config: ContainerConfig, image_ref: str
    ) -> str: ...
    async def start_container(self, id_: str) -> None: ...
    async def stop_container(self, id_: str, grace_seconds: int) -> None: ...
    async def remove_container(self, id_: str) -> None: ...


class Runtime(Sandboxes, Containers, Protocol):
    """Both."""


class Images(Protocol):
    """Images on the node."""

    async def find(self, image: str) -> str:
        """What the runtime calls this image; empty when it is not at hand."""

    async def pull(self, image: str) -> str:
        """Fetch it; what the runtime calls it."""


class Commands(Protocol):
    """Commands inside containers."""

    async def run(self, id_: str, command: Sequence[str], timeout_seconds: int) -> Ran: ...


class Cluster(Protocol):
    """The API server, as far as one pod needs it. NotFound where an object is absent."""

    async def config_map(self, key: Key) -> Mapping[str, bytes]: ...
    async def secret(self, key: Key) -> Mapping[str, bytes]: ...
    async def token(self, pod: Pod, source: TokenSource) -> tuple[str, float]:
        """A token for the pod's service account, and when it ends (seconds since the epoch)."""

    async def write_status(self, pod: Pod, status: dict[str, Any]) -> None:
        """Patch these fields of the status of this very pod (uid); None removes one."""

    async def remove(self, pod: Pod) -> None:
        """Delete this very pod's object at once; fine when it is gone."""

    def services(self, namespace: str) -> Sequence[Service]:
        """The namespace's Services and ``default/kubernetes``."""


class Volumes(Protocol):
    """A pod's directories on the node."""

    async def prepare(self, pod: Pod, ips: Sequence[str]) -> float | None:
        """Make them as they should be; when to look again (seconds since the epoch), if ever.

        NotFound or BadRequest name what stands in the way.
        """

    def remove(self, uid: str) -> None:
        """Take all of them away."""
