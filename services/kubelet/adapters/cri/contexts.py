"""Security contexts of sandboxes and containers in CRI's messages. No call is made here."""

from pathlib import PurePosixPath

from pilothouse.protos.cri.v1 import api_pb2 as cri
from pilothouse.services.kubelet.pod.configs import ContainerConfig, SandboxConfig
from pilothouse.services.kubelet.pod.views import (
    AppArmorProfile,
    Pod,
    SeccompProfile,
    SeLinuxOptions,
)
from pilothouse.services.kubelet.security.rules import Rules

MASKED_PATHS = (
    "/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys",
    "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
    "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap",
)  # fmt: skip
READONLY_PATHS = (
    "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
)  # fmt: skip
LOCALHOST = "localhost/"


def sandbox(config: SandboxConfig) -> cri.LinuxSandboxSecurityContext:
    """Of the pod as a whole."""
    pod = config.pod
    context = pod.spec.security_context
    every = (*pod.spec.init_containers, *pod.spec.containers, *pod.spec.ephemeral_containers)
    message = cri.LinuxSandboxSecurityContext(
        namespace_options=_namespaces(config),
        supplemental_groups=_groups(pod),
        supplemental_groups_policy=_groups_policy(pod),
        privileged=any(item.security_context.privileged for item in every),
        seccomp=cri.SecurityProfile(profile_type=cri.SecurityProfile.RuntimeDefault),
    )
    if context.run_as_user is not None:
        message.run_as_user.value = context.run_as_user
        if context.run_as_group is not None:
            message.run_as_group.value = context.run_as_group
    if context.se_linux_options is not None:
        message.selinux_options.CopyFrom(_selinux(context.se_linux_options))
    return message


def container(made_in: SandboxConfig, config: ContainerConfig) -> cri.LinuxContainerSecurityContext:
    """Of one container; what it does not say, its pod does."""
    pod, spec = made_in.pod, config.spec
    own, shared = spec.security_context, pod.spec.security_context
    message = cri.LinuxContainerSecurityContext(
        capabilities=cri.Capability(
            add_capabilities=own.capabilities.add, drop_capabilities=own.capabilities.drop
        ),
        privileged=own.privileged,
        namespace_options=_namespaces(made_in),
        readonly_rootfs=own.read_only_root_filesystem,
        supplemental_groups=_groups(pod),
        supplemental_groups_policy=_groups_policy(pod),
        no_new_privs=own.allow_privilege_escalation is False,
    )
    if config.target_id:
        message.namespace_options.pid = cri.TARGET
        message.namespace_options.target_id = config.target_id
    if not own.privileged:
        profile = own.seccomp_profile or shared.seccomp_profile
        message.seccomp.CopyFrom(_seccomp(profile, made_in.rules))
        if own.proc_mount != "Unmasked":
            message.masked_paths.extend(MASKED_PATHS)
            message.readonly_paths.extend(READONLY_PATHS)
    labels = own.se_linux_options or shared.se_linux_options
    if labels is not None:
        message.selinux_options.CopyFrom(_selinux(labels))
    _app_armor(own.app_armor_profile or shared.app_armor_profile, made_in.rules, message)
    user = shared.run_as_user if own.run_as_user is None else own.run_as_user
    group = shared.run_as_group if own.run_as_group is None else own.run_as_group
    if user is not None:
        message.run_as_user.value = user
    if group is not None and (user is not None or config.image_user is not None):
        # CRI takes a group only together with a user: the image's own, where the pod names none.
        if user is None and config.image_user is not None:
            message.run_as_user.value = config.image_user
        message.run_as_group.value = group
    return message


def _namespaces(config: SandboxConfig) -> cri.NamespaceOption:
    spec = config.pod.spec
    pid = cri.CONTAINER
    if spec.host_pid:
        pid = cri.NODE
    elif spec.share_process_namespace:
        pid = cri.POD
    message = cri.NamespaceOption(
        network=cri.NODE if spec.host_network else cri.POD,
        ipc=cri.NODE if spec.host_ipc else cri.POD,
        pid=pid,
    )
    if config.ids is not None:
        ids = cri.IDMapping(host_id=config.ids.first, container_id=0, length=config.ids.length)
        owned = cri.UserNamespace(mode=cri.POD, uids=[ids], gids=[ids])
        message.userns_options.CopyFrom(owned)
    return message


def _groups(pod: Pod) -> list[int]:
    context = pod.spec.security_context
    extra = () if context.fs_group is None else (context.fs_group,)
    return [*context.supplemental_groups, *extra]


def _groups_policy(pod: Pod) -> cri.SupplementalGroupsPolicy.ValueType:
    is_strict = pod.spec.security_context.supplemental_groups_policy == "Strict"
    return cri.Strict if is_strict else cri.Merge


def _seccomp(profile: SeccompProfile | None, rules: Rules) -> cri.SecurityProfile:
    if profile is None:
        profile = SeccompProfile(type="RuntimeDefault" if rules.seccomp_default else "Unconfined")
    match profile.type:
        case "Unconfined":
            return cri.SecurityProfile(profile_type=cri.SecurityProfile.Unconfined)
        case "Localhost":
            path = PurePosixPath(rules.seccomp_root) / profile.localhost_profile
            return cri.SecurityProfile(
                profile_type=cri.SecurityProfile.Localhost, localhost_ref=str(path)
            )
        case _:
            return cri.SecurityProfile(profile_type=cri.SecurityProfile.RuntimeDefault)


def _app_armor(
    profile: AppArmorProfile | None, rules: Rules, message: cri.LinuxContainerSecurityContext
) -> None:
    """Both ways to say it: runtimes of before 1.24 know the old one only."""
    if profile is None or not rules.has_app_armor:
        return
    match profile.type:
        case "Localhost":
            message.apparmor.profile_type = cri.SecurityProfile.Localhost
            message.apparmor.localhost_ref = profile.localhost_profile
            message.apparmor_profile = LOCALHOST + profile.localhost_profile
        case "Unconfined":
            message.apparmor.profile_type = cri.SecurityProfile.Unconfined
            message.apparmor_profile = "unconfined"
        case _:
            message.apparmor.profile_type = cri.SecurityProfile.RuntimeDefault
            message.apparmor_profile = "runtime/default"


def _selinux(options: SeLinuxOptions) -> cri.SELinuxOption:
    return cri.SELinuxOption(
        user=options.user, role=options.role, type=options.type, level=options.level
    )
