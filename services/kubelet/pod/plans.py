"""What the kubelet may do next for a pod: the acts, and a plan of them."""

from dataclasses import dataclass
from typing import TypeAlias

from pilothouse.services.kubelet.pod.observed import Container


@dataclass(frozen=True, slots=True)
class PrepareVolumes:
    """Make or refresh the files that containers mount."""


@dataclass(frozen=True, slots=True)
class RunSandbox:
    """Make a sandbox; ``replaces`` is the dead one whose address must be given back first."""

    attempt: int
    replaces: str = ""


@dataclass(frozen=True, slots=True)
class StopSandbox:
    id: str


@dataclass(frozen=True, slots=True)
class RemoveSandbox:
    id: str


@dataclass(frozen=True, slots=True)
class EnsureImage:
    """Find the image of this container, or pull it."""

    name: str


@dataclass(frozen=True, slots=True)
class StartContainer:
    """Create and start; ``wait_seconds`` is what its successor will wait after its end.

    ``target_id``: the container whose processes it sees.
    """

    name: str
    attempt: int
    sandbox_id: str
    wait_seconds: float = 0.0
    target_id: str = ""


@dataclass(frozen=True, slots=True)
class ResumeContainer:
    """Start a container that a kubelet before us created and did not start."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class StopContainer:
    """Ask it to end, after ``delay_seconds``; kill it when the grace is over.

    ``after``: ids of those that end first, as far as the grace allows.
    """

    id: str
    name: str
    message: str
    grace_seconds: float
    delay_seconds: float = 0.0
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ResizeContainer:
    """Give it the resources of the spec while it runs."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class RemoveContainer:
    id: str
    log_path: str = ""


Act: TypeAlias = (
    PrepareVolumes
    | RunSandbox
    | StopSandbox
    | RemoveSandbox
    | EnsureImage
    | StartContainer
    | ResumeContainer
    | StopContainer
    | ResizeContainer
    | RemoveContainer
)


@dataclass(frozen=True, slots=True)
class Plan:
    """Acts that do not wait for one another (but starts keep their order), and what then.

    ``again_at``: when time alone makes another look worthwhile. ``ended``: nothing of the pod
    runs any more and its object may go. ``backing_off``: those whose successor waits.
    """

    acts: tuple[Act, ...] = ()
    again_at: float | None = None
    ended: bool = False
    backing_off: tuple[Container, ...] = ()
