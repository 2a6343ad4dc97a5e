"""Every field of KubeletConfiguration, v1beta1, with its default.

Names are those of the file in snake case; spans of time are seconds. Values never change.
"""

from typing import Any

import msgspec
from msgspec import field

API_VERSION = "kubelet.config.k8s.io/v1beta1"
KIND = "KubeletConfiguration"
PORT = 10250
PODS_MAX = 110
EVICTION_HARD = {
    "memory.available": "100Mi",
    "nodefs.available": "10%",
    "nodefs.inodesFree": "5%",
    "imagefs.available": "15%",
    "imagefs.inodesFree": "5%",
}
_SPELLED = {
    "api": "API", "ca": "CA", "cfs": "CFS", "cidr": "CIDR", "cpus": "CPUs", "dns": "DNS",
    "gc": "GC", "id": "ID", "iptables": "IPTables", "oom": "OOM", "qos": "QOS", "qps": "QPS",
    "tls": "TLS", "ttl": "TTL", "url": "URL",
}  # fmt: skip


class Duration(float):
    """Seconds; written as Go writes them (``1m30s``)."""


def spelled(name: str) -> str:
    """A field's name in the file: ``image_gc_age`` is ``imageGCAge``."""
    first, *others = name.split("_")
    return first + "".join(_SPELLED.get(word, word.capitalize()) for word in others)


class Section(msgspec.Struct, frozen=True, kw_only=True, rename=spelled):
    """A part of the file."""


class X509(Section, frozen=True, kw_only=True):
    client_ca_file: str = ""


class WebhookAuthentication(Section, frozen=True, kw_only=True):
    enabled: bool = True
    cache_ttl: Duration = Duration(120)


class Anonymous(Section, frozen=True, kw_only=True):
    enabled: bool = False


class Authentication(Section, frozen=True, kw_only=True):
    x509: X509 = X509()
    webhook: WebhookAuthentication = WebhookAuthentication()
    anonymous: Anonymous = Anonymous()


class WebhookAuthorization(Section, frozen=True, kw_only=True):
    cache_authorized_ttl: Duration = Duration(300)
    cache_unauthorized_ttl: Duration = Duration(30)


class Authorization(Section, frozen=True, kw_only=True):
    mode: str = "Webhook"
    webhook: WebhookAuthorization = WebhookAuthorization()


class MemorySwap(Section, frozen=True, kw_only=True):
    swap_behavior: str = ""


class CrashLoopBackOff(Section, frozen=True, kw_only=True):
    max_container_restart_period: Duration | None = None


class UserNamespaces(Section, frozen=True, kw_only=True):
    ids_per_pod: int = 65536


class ShutdownGrace(Section, frozen=True, kw_only=True):
    priority: int = 0
    shutdown_grace_period_seconds: int = 0


class MemoryReservation(Section, frozen=True, kw_only=True):
    numa_node: int = 0
    limits: dict[str, str] = {}


class Taint(Section, frozen=True, kw_only=True):
    key: str = ""
    value: str = ""
    effect: str = ""
    time_added: str | None = None


class Tracing(Section, frozen=True, kw_only=True):
    endpoint: str | None = None
    sampling_rate_per_million: int | None = None


class KubeletConfiguration(Section, frozen=True, kw_only=True):
    """The whole file. ``None``: not said, and no default."""

    enable_server: bool = True
    static_pod_path: str = ""
    pod_logs_dir: str = "/var/log/pods"
    sync_frequency: Duration = Duration(60)
    file_check_frequency: Duration = Duration(20)
    http_check_frequency: Duration = Duration(20)
    static_pod_url: str = ""
    static_pod_url_header: dict[str, list[str]] = {}
    address: str = "0.0.0.0"
    port: int = PORT
    read_only_port: int = 0
    tls_cert_file: str = ""
    tls_private_key_file: str = ""
    tls_cipher_suites: tuple[str, ...] = ()
    tls_curve_preferences: tuple[int, ...] = ()
    tls_min_version: str = ""
    rotate_certificates: bool = False
    server_tls_bootstrap: bool = False
    authentication: Authentication = Authentication()
    authorization: Authorization = Authorization()
    registry_pull_qps: int = 5
    registry_burst: int = 10
    image_pull_credentials_verification_policy: str = "NeverVerifyPreloadedImages"
    preloaded_images_verification_allowlist: tuple[str, ...] = ()
    event_record_qps: int = 50
    event_burst: int = 100
    enable_debugging_handlers: bool = True
    enable_contention_profiling: bool = False
    healthz_port: int = 10248
    healthz_bind_address: str = "127.0.0.1"
    oom_score_adj: int = -999
    cluster_domain: str = ""
    cluster_dns: tuple[str, ...] = ()
    streaming_connection_idle_timeout: Duration = Duration(4 * 3600)
    node_status_update_frequency: Duration = Duration(10)
    node_status_report_frequency: Duration = Duration(300)
    node_lease_duration_seconds: int = 40
    image_minimum_gc_age: Duration = Duration(120)
    image_maximum_gc_age: Duration = Duration(0)
    image_gc_high_threshold_percent: int = 85
    image_gc_low_threshold_percent: int = 80
    volume_stats_agg_period: Duration = Duration(60)
    kubelet_cgroups: str = ""
    system_cgroups: str = ""
    cgroup_root: str = ""
    cgroups_per_qos: bool = True
    cgroup_driver: str = "cgroupfs"
    cpu_manager_policy: str = "none"
    single_process_oom_kill: bool | None = None
    cpu_manager_policy_options: dict[str, str] = {}
    cpu_manager_reconcile_period: Duration = Duration(10)
    memory_manager_policy: str = "None"
    topology_manager_policy: str = "none"
    topology_manager_scope: str = "container"
    topology_manager_policy_options: dict[str, str] = {}
    qos_reserved: dict[str, str] = {}
    runtime_request_timeout: Duration = Duration(120)
    hairpin_mode: str = "promiscuous-bridge"
    max_pods: int = PODS_MAX
    pod_cidr: str = ""
    pod_pids_limit: int = -1
    resolv_conf: str = "/etc/resolv.conf"
    run_once: bool = False
    cpu_cfs_quota: bool = True
    cpu_cfs_quota_period: Duration = Duration(0.1)
    node_status_max_images: int = 50
    max_open_files: int = 1_000_000
    content_type: str = "application/vnd.kubernetes.protobuf"
    kube_api_qps: int = 50
    kube_api_burst: int = 100
    serialize_image_pulls: bool = True
    max_parallel_image_pulls: int | None = None
    eviction_hard: dict[str, str] = field(default_factory=lambda: dict(EVICTION_HARD))
    eviction_soft: dict[str, str] = {}
    eviction_soft_grace_period: dict[str, str] = {}
    eviction_pressure_transition_period: Duration = Duration(300)
    eviction_max_pod_grace_period: int = 0
    eviction_minimum_reclaim: dict[str, str] = {}
    merge_default_eviction_settings: bool = False
    pods_per_core: int = 0
    enable_controller_attach_detach: bool = True
    protect_kernel_defaults: bool = False
    make_iptables_util_chains: bool = True
    iptables_masquerade_bit: int = 14
    iptables_drop_bit: int = 15
    feature_gates: dict[str, bool] = {}
    fail_swap_on: bool = True
    memory_swap: MemorySwap = MemorySwap()
    container_log_max_size: str = "10Mi"
    container_log_max_files: int = 5
    container_log_max_workers: int = 1
    container_log_monitor_interval: Duration = Duration(10)
    config_map_and_secret_change_detection_strategy: str = "Watch"  # noqa: S105 - no password
    system_reserved: dict[str, str] = {}
    kube_reserved: dict[str, str] = {}
    reserved_system_cpus: str = ""
    show_hidden_metrics_for_version: str = ""
    system_reserved_cgroup: str = ""
    kube_reserved_cgroup: str = ""
    enforce_node_allocatable: tuple[str, ...] = ("pods",)
    allowed_unsafe_sysctls: tuple[str, ...] = ()
    default_pod_sysctls: dict[str, str] = {}
    volume_plugin_dir: str = "/usr/libexec/kubernetes/kubelet-plugins/volume/exec/"
    provider_id: str = ""
    kernel_memcg_notification: bool = False
    logging: dict[str, Any] = field(
        default_factory=lambda: {"format": "text", "flushFrequency": "5s", "verbosity": 0}
    )
    enable_system_log_handler: bool = True
    enable_system_log_query: bool = False
    shutdown_grace_period: Duration = Duration(0)
    shutdown_grace_period_critical_pods: Duration = Duration(0)
    shutdown_grace_period_by_pod_priority: tuple[ShutdownGrace, ...] = ()
    crash_loop_back_off: CrashLoopBackOff = CrashLoopBackOff()
    reserved_memory: tuple[MemoryReservation, ...] = ()
    enable_profiling_handler: bool = True
    enable_debug_flags_handler: bool = True
    seccomp_default: bool = False
    memory_throttling_factor: float | None = None
    memory_reservation_policy: str = "None"
    register_with_taints: tuple[Taint, ...] = ()
    register_node: bool = True
    tracing: Tracing | None = None
    local_storage_capacity_isolation: bool = True
    container_runtime_endpoint: str = "unix:///run/containerd/containerd.sock"
    image_service_endpoint: str = ""
    fail_cgroup_v1: bool = True
    user_namespaces: UserNamespaces = UserNamespaces()


NULLABLE = frozenset({
    "registryPullQPS", "eventRecordQPS", "healthzPort", "oomScoreAdj", "podPidsLimit",
    "imageGCHighThresholdPercent", "imageGCLowThresholdPercent", "nodeStatusMaxImages",
    "kubeAPIQPS", "maxParallelImagePulls", "iptablesMasqueradeBit", "iptablesDropBit",
    "containerLogMaxFiles", "containerLogMaxWorkers", "containerLogMonitorInterval",
    "cpuCFSQuotaPeriod", "resolvConf", "memoryThrottlingFactor",
})  # fmt: skip
"""Where a zero that is written means zero; elsewhere it means the default."""
