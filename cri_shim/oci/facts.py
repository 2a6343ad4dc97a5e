"""What the builder must know of the machine and of a sandbox: found by the edges."""

from typing import Any, NamedTuple

from pilothouse.cri_shim.configs import ContainerConfig
from pilothouse.cri_shim.oci.users import User
from pilothouse.cri_shim.ports import ImageConfig
from pilothouse.cri_shim.records import SandboxRecord


class Machine(NamedTuple):
    """The node, as far as specs depend on it."""

    name: str  # x86_64
    hostname: str
    capabilities: int  # bits that this process may give
    own_oom_score_adj: int = 0
    may_lower_oom_score: bool = True
    unified_cgroups: bool = False
    counts_swap: bool = False
    systemd_cgroups: bool = False
    apparmor: bool = False
    recursive_read_only: bool = False


class Device(NamedTuple):
    """A device node, found by its path on the node."""

    path: str  # in the container
    type: str  # c or b
    major: int
    minor: int
    mode: int
    uid: int
    gid: int
    permissions: str = "rwm"


class SandboxFiles(NamedTuple):
    """What all containers of a sandbox see; ``shm`` is the directory of its shared memory."""

    hostname: str
    hosts: str
    resolv_conf: str
    shm: str


class Wanted(NamedTuple):
    """All that a container's spec is made of. ``config``'s mounts have paths that exist."""

    id: str
    config: ContainerConfig
    sandbox: SandboxRecord
    files: SandboxFiles
    image: ImageConfig
    user: User
    machine: Machine
    target_pid: int = 0
    # Of a profile of the node, parsed.
    seccomp: dict[str, Any] | None = None
    devices: tuple[Device, ...] = ()
    # Of the image's volumes: path on the node, path in the container.
    volumes: tuple[tuple[str, str], ...] = ()
