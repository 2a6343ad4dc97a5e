"""What this node allows of sysctls, AppArmor and groups. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pilothouse.services.kubelet.pod.views import AppArmorProfile, Container, Pod
from pilothouse.services.kubelet.resources.admission import Rejection

SAFE_SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_wmem",
    }
)
"""Isolated between pods, and no harm to others."""

_OF_NETWORK = ("net.",)
_OF_IPC = ("kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue.")


@dataclass(frozen=True, slots=True)
class Rules:
    """``unsafe_sysctls``: names, or ``prefix.*``. ``seccomp_root``: where Localhost profiles are.

    ``sysctls``: those of every pod that does not say otherwise.
    """

    unsafe_sysctls: tuple[str, ...] = ()
    sysctls: Mapping[str, str] = field(default_factory=dict)
    seccomp_default: bool = False
    seccomp_root: str = "/var/lib/kubelet/seccomp"
    has_app_armor: bool = False


def judge(pod: Pod, rules: Rules, *, strict_groups: bool) -> Rejection | None:
    """Why the pod may not run here; ``strict_groups``: whether the runtime knows that policy."""
    for sysctl in pod.spec.security_context.sysctls:
        wrong = _forbidden(pod, sysctl.name.replace("/", "."), rules)
        if wrong:
            return _rejection("SysctlForbidden", f'forbidden sysctl: "{sysctl.name}" {wrong}')
    if not rules.has_app_armor and any(profile.type != "Unconfined" for profile in _profiles(pod)):
        text = "Cannot enforce AppArmor: AppArmor is not enabled on the host"
        return _rejection("AppArmor", text)
    if pod.spec.security_context.supplemental_groups_policy == "Strict" and not strict_groups:
        text = "SupplementalGroupsPolicy=Strict is not supported in this node"
        return _rejection("SupplementalGroupsPolicyNotSupported", text)
    return None


def _rejection(reason: str, text: str) -> Rejection:
    return Rejection(reason, f"Pod was rejected: {text}")


def _forbidden(pod: Pod, name: str, rules: Rules) -> str:
    if pod.spec.host_network and name.startswith(_OF_NETWORK):
        return "not allowed with host net enabled"
    if pod.spec.host_ipc and name.startswith(_OF_IPC):
        return "not allowed with host ipc enabled"
    if name in SAFE_SYSCTLS or any(_covers(item, name) for item in rules.unsafe_sysctls):
        return ""
    return "not allowlisted"


def _covers(allowed: str, name: str) -> bool:
    allowed = allowed.replace("/", ".")
    if allowed.endswith("*"):
        return name.startswith(allowed.removesuffix("*"))
    return name == allowed


def _profiles(pod: Pod) -> Iterator[AppArmorProfile]:
    if pod.spec.security_context.app_armor_profile is not None:
        yield pod.spec.security_context.app_armor_profile
    every: tuple[Container, ...] = (*pod.spec.init_containers, *pod.spec.containers)
    for item in every:
        if item.security_context.app_armor_profile is not None:
            yield item.security_context.app_armor_profile


def sysctls_of(pod: Pod, rules: Rules) -> dict[str, str]:
    """What the pod's sandbox is to have, names with dots."""
    found = {
        name.replace("/", "."): value
        for name, value in rules.sysctls.items()
        if not _forbidden(pod, name.replace("/", "."), Rules(unsafe_sysctls=("*",)))
    }
    own = pod.spec.security_context.sysctls
    return found | {item.name.replace("/", "."): item.value for item in own}
