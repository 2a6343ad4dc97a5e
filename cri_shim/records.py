"""What is known of a sandbox or container: kept across restarts, one JSON text each."""

from typing import Any

import msgspec
from msgspec import field

from pilothouse.cri_shim.configs import ContainerConfig, PodSandboxConfig

CREATED, RUNNING, EXITED, UNKNOWN = 0, 1, 2, 3
"""States of a container, as CRI numbers them."""
READY, NOTREADY = 0, 1
"""States of a sandbox, as CRI numbers them."""


class SandboxRecord(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A pod's sandbox. Times are nanoseconds since 1970; 0 means never."""

    id: str
    config: PodSandboxConfig
    runtime_handler: str = ""
    created_at: int
    state: int = NOTREADY
    pid: int = 0
    exited_at: int = 0
    # A path that stays while the pod does; empty in the node's own network.
    netns: str = ""
    # The sandbox is attached to the network: whoever stops it must detach it.
    attached: bool = False
    ips: tuple[str, ...] = ()
    # Below each hierarchy of /sys/fs/cgroup; with systemd's driver "slice:prefix:name".
    cgroup_path: str = ""


class ContainerRecord(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A container of a sandbox. Times are nanoseconds since 1970; 0 means never."""

    id: str
    sandbox_id: str
    config: ContainerConfig
    # The image's id (its config's digest), its name with a digest if there is one, one for people.
    image_id: str
    image_ref: str = ""
    image_name: str = ""
    created_at: int
    state: int = CREATED
    started_at: int = 0
    finished_at: int = 0
    pid: int = 0
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    # Absolute; empty when nobody wants the output.
    log_path: str = ""
    snapshotter: str = ""
    snapshot_key: str = ""
    cgroup_path: str = ""
    # A name (SIGTERM) or a number.
    stop_signal: str = ""
    # The process of the OCI spec: what exec starts in the container resembles it.
    process: dict[str, Any] = field(default_factory=dict)


class ContainerIo(msgspec.Struct, frozen=True, kw_only=True):
    """The streams of a container's main process. Paths of FIFOs; empty where there is none."""

    container_id: str
    stdin: str = ""
    stdout: str
    stderr: str = ""  # none with a terminal
    log_path: str = ""
    tty: bool = False
    stdin_once: bool = False
