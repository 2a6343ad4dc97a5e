"""What the runtime says of one pod, and what the kubelet remembers beside it. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pilothouse.services.machinery.kinds.pods import Resources

WAIT_MAX_SECONDS = 300.0
"""No container waits longer than this for its next start, unless the node says otherwise."""

State = Literal["created", "running", "exited", "unknown"]


@dataclass(frozen=True, slots=True)
class Sandbox:
    """One pod sandbox; times in seconds since the epoch."""

    id: str
    attempt: int
    ready: bool
    created_at: float = 0.0
    ips: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class User:
    """Whom the first process of a container ran as at its start."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Container:
    """One container of the runtime; ``attempt`` is its restart count.

    ``wait_seconds`` is how long its successor waits after it ended; ``made_of`` tells whether the
    spec still asks for the same container.
    """

    id: str
    name: str
    attempt: int
    sandbox_id: str
    state: State
    image: str = ""
    image_id: str = ""
    created_at: float = 0.0
    started_at: float = 0.0
    finished_at: float = 0.0
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    made_of: str = ""
    wait_seconds: float = 0.0
    log_path: str = ""
    user: User | None = None
    stop_signal: str = ""


ABANDONED = ("context canceled", "signal: killed")
"""How containerd words a start whose caller went away, before and after its shim was there."""


def is_abandoned(container: Container) -> bool:
    """Whether its start was given up because the one who asked for it went away."""
    return (
        container.state == "exited"
        and container.reason == "StartError"
        and any(words in container.message for words in ABANDONED)
    )


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything the runtime has of a pod: sandboxes and containers, newest attempt first.

    ``abandoned`` never ran: whoever started them (a kubelet before us) died over it. They count
    for nothing and are removed.
    """

    sandboxes: tuple[Sandbox, ...] = ()
    containers: tuple[Container, ...] = ()
    abandoned: tuple[Container, ...] = ()

    @property
    def sandbox(self) -> Sandbox | None:
        """The newest sandbox."""
        return self.sandboxes[0] if self.sandboxes else None

    def of(self, name: str) -> list[Container]:
        """The containers of this name, newest first."""
        return [item for item in self.containers if item.name == name]

    def current(self, name: str) -> Container | None:
        """The newest container of this name."""
        return next((item for item in self.containers if item.name == name), None)

    def alive(self) -> list[Container]:
        """Those whose process may still run."""
        return [item for item in self.containers if item.state in {"running", "unknown"}]


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why something could not be done; not tried again before ``until`` (monotonic-free: epoch)."""

    reason: str
    message: str
    until: float
    wait_seconds: float


@dataclass(frozen=True, slots=True)
class Health:
    """What probes found of a running container; None where it has no such probe."""

    started: bool | None = None
    ready: bool | None = None
    failed: str = ""
    grace_seconds: int | None = None


NO_PROBES = Health()


@dataclass(frozen=True, slots=True)
class Known:
    """The kubelet's memory of a pod. Losing it (a restart) costs time and no correctness.

    ``images``: image references at hand, by container name. ``troubles``: by container name, and
    under ``SANDBOX`` and ``VOLUMES``. ``stopping``: container id to the time it will be killed.
    ``hooking``: containers whose postStart hook has not ended. ``resources``: container id to
    what the runtime was told last. ``refusal``: why the node can not give others, in a word and a
    sentence; empty when it can. ``restart_wait_max``: seconds.
    """

    volumes_ready: bool = False
    images: frozenset[str] = frozenset()
    pulling: frozenset[str] = frozenset()
    troubles: Mapping[str, Trouble] = field(default_factory=dict)
    stopping: Mapping[str, float] = field(default_factory=dict)
    health: Mapping[str, Health] = field(default_factory=dict)
    hooking: frozenset[str] = frozenset()
    resources: Mapping[str, Resources] = field(default_factory=dict)
    refusal: tuple[str, str] = ("", "")
    restart_wait_max: float = WAIT_MAX_SECONDS


SANDBOX = "/sandbox"
VOLUMES = "/volumes"


def probes_of(known: Known, container: Container) -> Health:
    """What probes found of this very container."""
    return known.health.get(container.id, NO_PROBES)
