"""What a client of CRI asks for, as values: the fields that Linux has, named as in CRI."""

from typing import Literal

import msgspec
from msgspec import field

POD, CONTAINER, NODE, TARGET = 0, 1, 2, 3
"""Modes of a namespace."""
PRIVATE, HOST_TO_CONTAINER, BIDIRECTIONAL = 0, 1, 2
"""Propagation of a mount."""
RUNTIME_DEFAULT, UNCONFINED, LOCALHOST = 0, 1, 2
"""Types of a security profile."""
MERGE, STRICT = 0, 1
"""Policies of supplemental groups."""


class _Value(msgspec.Struct, frozen=True, omit_defaults=True):
    """Base of all: immutable, unset fields are left out of what is kept."""


class Int64Value(_Value, frozen=True):
    value: int = 0


class IdMapping(_Value, frozen=True):
    host_id: int = 0
    container_id: int = 0
    length: int = 0


class UserNamespace(_Value, frozen=True):
    mode: int = POD
    uids: tuple[IdMapping, ...] = ()
    gids: tuple[IdMapping, ...] = ()


class NamespaceOption(_Value, frozen=True):
    network: int = POD
    pid: int = POD
    ipc: int = POD
    target_id: str = ""
    userns_options: UserNamespace | None = None


class SecurityProfile(_Value, frozen=True):
    profile_type: int = RUNTIME_DEFAULT
    localhost_ref: str = ""


class SELinuxOption(_Value, frozen=True):
    user: str = ""
    role: str = ""
    type: str = ""
    level: str = ""


class HugepageLimit(_Value, frozen=True):
    page_size: str = ""
    limit: int = 0


class Resources(_Value, frozen=True):
    """CRI's LinuxContainerResources; 0 and "" say nothing."""

    cpu_period: int = 0
    cpu_quota: int = 0
    cpu_shares: int = 0
    memory_limit_in_bytes: int = 0
    oom_score_adj: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    hugepage_limits: tuple[HugepageLimit, ...] = ()
    unified: dict[str, str] = field(default_factory=dict)
    memory_swap_limit_in_bytes: int = 0


class SandboxSecurity(_Value, frozen=True):
    """CRI's LinuxSandboxSecurityContext."""

    namespace_options: NamespaceOption = NamespaceOption()
    selinux_options: SELinuxOption | None = None
    run_as_user: Int64Value | None = None
    run_as_group: Int64Value | None = None
    readonly_rootfs: bool = False
    supplemental_groups: tuple[int, ...] = ()
    supplemental_groups_policy: int = MERGE
    privileged: bool = False
    seccomp: SecurityProfile | None = None
    apparmor: SecurityProfile | None = None
    seccomp_profile_path: str = ""


class PodSandboxLinux(_Value, frozen=True):
    cgroup_parent: str = ""
    security_context: SandboxSecurity = SandboxSecurity()
    sysctls: dict[str, str] = field(default_factory=dict)
    overhead: Resources | None = None
    resources: Resources | None = None


class PodMetadata(_Value, frozen=True):
    name: str = ""
    uid: str = ""
    namespace: str = ""
    attempt: int = 0


class DnsConfig(_Value, frozen=True):
    servers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


class PortMapping(_Value, frozen=True):
    """``protocol``: 0 TCP, 1 UDP, 2 SCTP."""

    protocol: Literal[0, 1, 2] = 0
    container_port: int = 0
    host_port: int = 0
    host_ip: str = ""


class PodSandboxConfig(_Value, frozen=True):
    metadata: PodMetadata = PodMetadata()
    hostname: str = ""
    log_directory: str = ""
    dns_config: DnsConfig | None = None
    port_mappings: tuple[PortMapping, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    linux: PodSandboxLinux = PodSandboxLinux()


class Capability(_Value, frozen=True):
    add_capabilities: tuple[str, ...] = ()
    drop_capabilities: tuple[str, ...] = ()
    add_ambient_capabilities: tuple[str, ...] = ()


class ContainerSecurity(_Value, frozen=True):
    """CRI's LinuxContainerSecurityContext."""

    capabilities: Capability = Capability()
    privileged: bool = False
    namespace_options: NamespaceOption = NamespaceOption()
    selinux_options: SELinuxOption | None = None
    run_as_user: Int64Value | None = None
    run_as_group: Int64Value | None = None
    run_as_username: str = ""
    readonly_rootfs: bool = False
    supplemental_groups: tuple[int, ...] = ()
    supplemental_groups_policy: int = MERGE
    no_new_privs: bool = False
    masked_paths: tuple[str, ...] = ()
    readonly_paths: tuple[str, ...] = ()
    seccomp: SecurityProfile | None = None
    apparmor: SecurityProfile | None = None
    apparmor_profile: str = ""
    seccomp_profile_path: str = ""


class ContainerLinux(_Value, frozen=True):
    resources: Resources = Resources()
    security_context: ContainerSecurity = ContainerSecurity()


class ContainerMetadata(_Value, frozen=True):
    name: str = ""
    attempt: int = 0


class ImageSpec(_Value, frozen=True):
    image: str = ""
    annotations: dict[str, str] = field(default_factory=dict)
    user_specified_image: str = ""
    runtime_handler: str = ""
    image_ref: str = ""


class Mount(_Value, frozen=True):
    container_path: str = ""
    host_path: str = ""
    readonly: bool = False
    selinux_relabel: bool = False
    propagation: int = PRIVATE
    uidMappings: tuple[IdMapping, ...] = ()  # noqa: N815 - CRI's own name
    gidMappings: tuple[IdMapping, ...] = ()  # noqa: N815 - CRI's own name
    recursive_read_only: bool = False
    image: ImageSpec | None = None
    image_sub_path: str = ""
    mount_options: tuple[str, ...] = ()


class Device(_Value, frozen=True):
    container_path: str = ""
    host_path: str = ""
    permissions: str = ""


class CdiDevice(_Value, frozen=True):
    name: str = ""


class KeyValue(_Value, frozen=True):
    key: str = ""
    value: bytes = b""


class ContainerConfig(_Value, frozen=True):
    metadata: ContainerMetadata = ContainerMetadata()
    image: ImageSpec = ImageSpec()
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str = ""
    envs: tuple[KeyValue, ...] = ()
    mounts: tuple[Mount, ...] = ()
    devices: tuple[Device, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    log_path: str = ""
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False
    linux: ContainerLinux = ContainerLinux()
    CDI_devices: tuple[CdiDevice, ...] = ()
    stop_signal: int = 0
