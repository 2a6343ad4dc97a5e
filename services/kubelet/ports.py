"""What the kubelet needs of the outside, in its own words."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pilothouse.services.kubelet.pod.configs import ContainerConfig, Mount, SandboxConfig
from pilothouse.services.kubelet.pod.observed import Observed
from pilothouse.services.kubelet.pod.views import Container, Pod
from pilothouse.services.kubelet.resources.qos import Limits
from pilothouse.services.kubelet.volumes.claimed import Place
from pilothouse.services.kubelet.volumes.payload import Found
from pilothouse.services.kubelet.volumes.sources import Projection, TokenSource, Volume
from pilothouse.services.machinery.kinds.nodes import Node
from pilothouse.services.machinery.kinds.services import Service
from pilothouse.services.machinery.objects import Key


@dataclass(frozen=True, slots=True)
class HandlerState:
    """What one handler of the runtime can do; the one without a name serves who names none."""

    name: str
    user_namespaces: bool = False
    recursive_read_only: bool = False


@dataclass(frozen=True, slots=True)
class RuntimeState:
    """What the runtime says of itself; a problem is a sentence, empty when there is none.

    ``strict_groups``: whether it knows ``supplementalGroupsPolicy``; None when it does not say.
    ``capacity`` and ``allocatable``: what plugins offer beside it.
    """

    name: str
    version: str
    runtime_problem: str = ""
    network_problem: str = ""
    handlers: tuple[HandlerState, ...] = ()
    strict_groups: bool | None = None
    capacity: Mapping[str, str] = field(default_factory=dict)
    allocatable: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PodRef:
    """A pod that the runtime knows; the API may not."""

    uid: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Image:
    """What the runtime calls an image, and who runs in it when the pod does not say."""

    ref: str
    user: int | None = None
    user_name: str = ""
    size: int = 0
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who to be at a registry."""

    username: str
    password: str


@dataclass(frozen=True, slots=True)
class PullSecret:
    """A Secret that is for pulls of images; no data where its type is another."""

    uid: str
    namespace: str
    name: str
    data: Mapping[str, bytes]


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
    async def update_container(self, id_: str, limits: Limits) -> None: ...
    async def stop_container(self, id_: str, grace_seconds: int) -> None: ...
    async def remove_container(self, id_: str) -> None: ...


class Runtime(Sandboxes, Containers, Protocol):
    """Both."""


class Survey(Protocol):
    """The runtime as a whole."""

    async def survey(self) -> Mapping[PodRef, frozenset[tuple[str, int]]]:
        """Every pod that the runtime knows, with the states of all that it has of it."""


class OwnNode(Protocol):
    """This node's object."""

    def current(self) -> Node | None:
        """As it was heard of last."""

    async def fetch(self) -> Node:
        """As it is."""


class Exits(Protocol):
    """Who says that a container has ended, without being asked."""

    def exits(self) -> AsyncIterator[str]:
        """Ids of containers and sandboxes that ended; ends with an ApiError."""


class Leftovers(Protocol):
    """What pods leave on the node."""

    def pods(self) -> Sequence[str]:
        """Uids of pods of which there is something."""

    def remove(self, uid: str) -> None: ...


class Images(Protocol):
    """Images on the node."""

    async def find(self, image: str) -> Image | None:
        """The image, when it is at hand."""

    async def pull(self, image: str, credentials: Credentials | None = None) -> Image:
        """Fetch it, as somebody or as nobody."""


class ImageVolumes(Protocol):
    """Images whose files containers see. Absence is no error of a removal."""

    async def mount(self, uid: str, volume: str, image: str) -> None:
        """Make a pulled image available as a volume of the pod of this uid."""

    async def remove(self, uid: str) -> None:
        """Take all of a pod's away."""


class Commands(Protocol):
    """Commands inside containers."""

    async def run(self, id_: str, command: Sequence[str], timeout_seconds: int) -> Ran: ...


class Named(Protocol):
    """What a pod names. NotFound where it is absent."""

    async def config_map(self, key: Key) -> Mapping[str, bytes]: ...
    async def secret(self, key: Key) -> Mapping[str, bytes]: ...
    async def pull_secret(self, key: Key) -> PullSecret: ...

    async def runtime_handler(self, runtime_class: str) -> str:
        """What the runtime calls a RuntimeClass."""


class Cluster(Named, Protocol):
    """The API server, as far as one pod needs it."""

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

    async def prepare(
        self, pod: Pod, ips: Sequence[str], changed: Callable[[], None]
    ) -> float | None:
        """Make them as they should be; when to look again (seconds since the epoch), if ever.

        ``changed`` is called when they should be otherwise. ApiErrors name what stands in the way.
        """

    def mounts(
        self,
        pod: Pod,
        container: Container,
        attempt: int,
        env: Mapping[str, str],
        ips: Sequence[str],
    ) -> list[Mount]:
        """What a container sees of them, with its hosts file and termination message."""

    def remove(self, uid: str) -> None:
        """Take all of them away."""


class VolumeSources(Protocol):
    """What volumes made of API objects show."""

    async def fetch(
        self,
        pod: Pod,
        volume: Volume,
        parts: tuple[Projection, ...],
        changed: Callable[[], None],
    ) -> tuple[Found, float | None]:
        """All that there is for one volume, and when to ask again (seconds since the epoch).

        ``changed`` is called when it is no longer so. Raises ApiError.
        """

    def forget(self, uid: str) -> None:
        """The pod is gone."""


class Claims(Protocol):
    """The volumes behind the claims of pods."""

    async def locate(self, pod: Pod, volume: Volume, changed: Callable[[], None]) -> Place:
        """Where it is; ApiError while it is nowhere; ``changed`` is called when that ends."""

    def found(self, uid: str, volume: str) -> Place | None:
        """Where it was located."""

    def forget(self, pod: str) -> None:
        """The pod with this uid is gone."""


class LogDirectories(Protocol):
    """Where the runtime writes logs; absence is no error of a removal."""

    def make(self, path: Path) -> None: ...
    def remove(self, path: Path) -> None:
        """With all that is in it."""

    def remove_file(self, path: Path) -> None: ...


class Cgroups(Protocol):
    """Pods' cgroups."""

    def prepare(self, pod: Pod) -> None:
        """Give the pod its share of CPU time and its limits, where the host allows."""

    def memory_used(self, pod: Pod, container_id: str = "") -> int:
        """Bytes that the pod, or one container of it, has now; 0 where nobody can tell."""

    def remove(self, uid: str) -> None:
        """Take the pod's away."""
