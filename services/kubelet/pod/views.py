"""A pod as the kubelet needs it: every field that decides how its containers run.

Volumes have their own file, :mod:`pilothouse.services.kubelet.volumes.sources`.
"""

from typing import Any

from msgspec import field

from pilothouse.services.kubelet.volumes.sources import (
    FieldSelector,
    ResourceSelector,
    Volume,
    VolumeMount,
)
from pilothouse.services.machinery.kinds.affinity import Affinity
from pilothouse.services.machinery.kinds.pods import (
    ContainerPort,
    ReadinessGate,
    Resources,
    Toleration,
)
from pilothouse.services.machinery.objects import Metadata, View

Port = int | str

STATUSES = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
"""Where a pod's status tells of its containers."""


class KeySelector(View, frozen=True, kw_only=True):
    """One key of a ConfigMap or Secret."""

    name: str = ""
    key: str
    optional: bool = False


class EnvSource(View, frozen=True, kw_only=True):
    field_ref: FieldSelector | None = None
    resource_field_ref: ResourceSelector | None = None
    config_map_key_ref: KeySelector | None = None
    secret_key_ref: KeySelector | None = None


class EnvVar(View, frozen=True, kw_only=True):
    name: str
    value: str = ""
    value_from: EnvSource | None = None


class Reference(View, frozen=True, kw_only=True):
    name: str = ""
    optional: bool = False


class EnvFrom(View, frozen=True, kw_only=True):
    prefix: str = ""
    config_map_ref: Reference | None = None
    secret_ref: Reference | None = None


class ExecAction(View, frozen=True, kw_only=True):
    command: tuple[str, ...] = ()


class HttpHeader(View, frozen=True, kw_only=True):
    name: str
    value: str = ""


class HttpGetAction(View, frozen=True, kw_only=True):
    port: Port
    path: str = "/"
    host: str = ""
    scheme: str = "HTTP"
    http_headers: tuple[HttpHeader, ...] = ()


class TcpSocketAction(View, frozen=True, kw_only=True):
    port: Port
    host: str = ""


class GrpcAction(View, frozen=True, kw_only=True):
    port: int
    service: str = ""


class SleepAction(View, frozen=True, kw_only=True):
    seconds: int = 0


class Probe(View, frozen=True, kw_only=True):
    exec: ExecAction | None = None
    http_get: HttpGetAction | None = None
    tcp_socket: TcpSocketAction | None = None
    grpc: GrpcAction | None = None
    initial_delay_seconds: int = 0
    timeout_seconds: int = 1
    period_seconds: int = 10
    success_threshold: int = 1
    failure_threshold: int = 3
    termination_grace_period_seconds: int | None = None


class Hook(View, frozen=True, kw_only=True):
    exec: ExecAction | None = None
    http_get: HttpGetAction | None = None
    tcp_socket: TcpSocketAction | None = None
    sleep: SleepAction | None = None


class Lifecycle(View, frozen=True, kw_only=True):
    post_start: Hook | None = None
    pre_stop: Hook | None = None
    stop_signal: str = ""


class ExitCodes(View, frozen=True, kw_only=True):
    """``operator`` is In or NotIn."""

    operator: str
    values: tuple[int, ...] = ()


class RestartRule(View, frozen=True, kw_only=True):
    """What happens after an exit with one of these codes, whatever the policy."""

    action: str
    exit_codes: ExitCodes | None = None


class Capabilities(View, frozen=True, kw_only=True):
    add: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()


class SeccompProfile(View, frozen=True, kw_only=True):
    type: str = "Unconfined"
    localhost_profile: str = ""


class AppArmorProfile(View, frozen=True, kw_only=True):
    type: str = "Unconfined"
    localhost_profile: str = ""


class SeLinuxOptions(View, frozen=True, kw_only=True):
    user: str = ""
    role: str = ""
    type: str = ""
    level: str = ""


class SecurityContext(View, frozen=True, kw_only=True):
    capabilities: Capabilities = Capabilities()
    privileged: bool = False
    run_as_user: int | None = None
    run_as_group: int | None = None
    run_as_non_root: bool | None = None
    read_only_root_filesystem: bool = False
    allow_privilege_escalation: bool | None = None
    seccomp_profile: SeccompProfile | None = None
    app_armor_profile: AppArmorProfile | None = None
    se_linux_options: SeLinuxOptions | None = None
    proc_mount: str = "Default"


class Sysctl(View, frozen=True, kw_only=True):
    name: str
    value: str


class PodSecurityContext(View, frozen=True, kw_only=True):
    run_as_user: int | None = None
    run_as_group: int | None = None
    run_as_non_root: bool | None = None
    supplemental_groups: tuple[int, ...] = ()
    fs_group: int | None = None
    fs_group_change_policy: str = "Always"
    supplemental_groups_policy: str = "Merge"
    sysctls: tuple[Sysctl, ...] = ()
    seccomp_profile: SeccompProfile | None = None
    app_armor_profile: AppArmorProfile | None = None
    se_linux_options: SeLinuxOptions | None = None


class ResizePolicy(View, frozen=True, kw_only=True):
    """Whether a container restarts when this resource of it changes."""

    resource_name: str
    restart_policy: str = "NotRequired"


class Container(View, frozen=True, kw_only=True):
    name: str
    image: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str = ""
    ports: tuple[ContainerPort, ...] = ()
    env: tuple[EnvVar, ...] = ()
    env_from: tuple[EnvFrom, ...] = ()
    resources: Resources = Resources()
    volume_mounts: tuple[VolumeMount, ...] = ()
    liveness_probe: Probe | None = None
    readiness_probe: Probe | None = None
    startup_probe: Probe | None = None
    lifecycle: Lifecycle = Lifecycle()
    termination_message_path: str = "/dev/termination-log"
    termination_message_policy: str = "File"
    image_pull_policy: str = "IfNotPresent"
    security_context: SecurityContext = SecurityContext()
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False
    restart_policy: str = ""
    restart_policy_rules: tuple[RestartRule, ...] = ()
    resize_policy: tuple[ResizePolicy, ...] = ()

    @property
    def is_sidecar(self) -> bool:
        """Whether, listed among the init containers, it runs as long as the pod does."""
        return self.restart_policy == "Always"


class EphemeralContainer(Container, frozen=True, kw_only=True):
    """Added to a pod that runs; started once."""

    target_container_name: str = ""


class HostAlias(View, frozen=True, kw_only=True):
    ip: str
    hostnames: tuple[str, ...] = ()


class DnsOption(View, frozen=True, kw_only=True):
    name: str
    value: str | None = None


class DnsConfig(View, frozen=True, kw_only=True):
    nameservers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[DnsOption, ...] = ()


class PodOs(View, frozen=True, kw_only=True):
    name: str


class Spec(View, frozen=True, kw_only=True):
    containers: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] = ()
    ephemeral_containers: tuple[EphemeralContainer, ...] = ()
    volumes: tuple[Volume, ...] = ()
    restart_policy: str = "Always"
    termination_grace_period_seconds: int = 30
    active_deadline_seconds: int | None = None
    dns_policy: str = "ClusterFirst"
    dns_config: DnsConfig = DnsConfig()
    node_name: str = ""
    service_account_name: str = "default"
    host_network: bool = False
    host_pid: bool = field(default=False, name="hostPID")
    host_ipc: bool = field(default=False, name="hostIPC")
    host_users: bool = True
    share_process_namespace: bool = False
    security_context: PodSecurityContext = PodSecurityContext()
    hostname: str = ""
    hostname_override: str | None = None
    set_hostname_as_fqdn: bool = field(default=False, name="setHostnameAsFQDN")
    subdomain: str = ""
    host_aliases: tuple[HostAlias, ...] = ()
    enable_service_links: bool = True
    readiness_gates: tuple[ReadinessGate, ...] = ()
    image_pull_secrets: tuple[Reference, ...] = ()
    runtime_class_name: str = ""
    priority: int = 0
    resources: Resources = Resources()
    overhead: dict[str, str | int | float] = {}
    tolerations: tuple[Toleration, ...] = ()
    node_selector: dict[str, str] = {}
    affinity: Affinity | None = None
    os: PodOs | None = None


class Pod(View, frozen=True, kw_only=True):
    """``status`` stays a dict: the kubelet is its writer and compares it whole."""

    metadata: Metadata = Metadata()
    spec: Spec = Spec()
    status: dict[str, Any] = {}

    @property
    def uid(self) -> str:
        return self.metadata.uid

    def container(self, name: str) -> Container:
        """The container of this name, of whatever sort; KeyError when there is none."""
        spec = self.spec
        for item in (*spec.init_containers, *spec.containers, *spec.ephemeral_containers):
            if item.name == name:
                return item
        raise KeyError(name)

    def recorded(self, name: str) -> dict[str, Any]:
        """What the API's status says of this container; empty when nothing."""
        for part in STATUSES:
            for item in self.status.get(part) or ():
                if item.get("name") == name:
                    found: dict[str, Any] = item
                    return found
        return {}


def full_name(pod: Pod) -> str:
    """``name_namespace(uid)``, as messages to people say it."""
    return f"{pod.metadata.name}_{pod.metadata.namespace}({pod.uid})"
