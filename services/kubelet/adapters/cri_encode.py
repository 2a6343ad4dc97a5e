"""From the kubelet's words to CRI's messages. No call is made here."""

from pilothouse.protos.cri.v1 import api_pb2 as cri
from pilothouse.services.kubelet.pod import configs
from pilothouse.services.kubelet.pod.configs import ContainerConfig, Mount, SandboxConfig
from pilothouse.services.kubelet.pod.views import Container, Pod, SeccompProfile
from pilothouse.services.kubelet.resources.cgroup_files import size_word
from pilothouse.services.kubelet.resources.qos import Limits

MASKED_PATHS = (
    "/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys",
    "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
    "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap",
)  # fmt: skip
READONLY_PATHS = (
    "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
)  # fmt: skip

_PROPAGATION = {
    "HostToContainer": cri.PROPAGATION_HOST_TO_CONTAINER,
    "Bidirectional": cri.PROPAGATION_BIDIRECTIONAL,
}


def pod_labels(pod: Pod) -> dict[str, str]:
    """Labels by which the runtime's objects are found again."""
    return {
        configs.POD_NAME: pod.metadata.name,
        configs.POD_NAMESPACE: pod.metadata.namespace,
        configs.POD_UID: pod.uid,
    }


def sandbox(config: SandboxConfig) -> cri.PodSandboxConfig:
    """The whole sandbox."""
    pod = config.pod
    message = cri.PodSandboxConfig(
        metadata=cri.PodSandboxMetadata(
            name=pod.metadata.name,
            namespace=pod.metadata.namespace,
            uid=pod.uid,
            attempt=config.attempt,
        ),
        log_directory=config.log_directory,
        dns_config=cri.DNSConfig(
            servers=config.dns.servers,
            searches=config.dns.searches,
            options=config.dns.options,
        ),
        labels=pod.metadata.labels | pod_labels(pod),
        annotations=pod.metadata.annotations,
        port_mappings=_port_mappings(pod),
        linux=cri.LinuxPodSandboxConfig(
            cgroup_parent=config.cgroup_parent,
            sysctls={item.name: item.value for item in pod.spec.security_context.sysctls},
            security_context=_sandbox_security(pod),
        ),
    )
    if not pod.spec.host_network:
        message.hostname = config.hostname
    return message


def _port_mappings(pod: Pod) -> list[cri.PortMapping]:
    if pod.spec.host_network:
        return []
    return [
        cri.PortMapping(
            protocol=cri.Protocol.Value(port.protocol),
            container_port=port.container_port,
            host_port=port.host_port,
            host_ip=port.host_ip,
        )
        for item in (*pod.spec.init_containers, *pod.spec.containers)
        for port in item.ports
        if port.host_port
    ]


def _namespaces(pod: Pod) -> cri.NamespaceOption:
    pid = cri.CONTAINER
    if pod.spec.host_pid:
        pid = cri.NODE
    elif pod.spec.share_process_namespace:
        pid = cri.POD
    return cri.NamespaceOption(
        network=cri.NODE if pod.spec.host_network else cri.POD,
        ipc=cri.NODE if pod.spec.host_ipc else cri.POD,
        pid=pid,
    )


def _sandbox_security(pod: Pod) -> cri.LinuxSandboxSecurityContext:
    context = pod.spec.security_context
    message = cri.LinuxSandboxSecurityContext(
        namespace_options=_namespaces(pod),
        supplemental_groups=_groups(pod),
        privileged=any(item.security_context.privileged for item in pod.spec.containers),
        seccomp=_seccomp(SeccompProfile(type="RuntimeDefault")),
    )
    if context.run_as_user is not None:
        message.run_as_user.value = context.run_as_user
        if context.run_as_group is not None:
            message.run_as_group.value = context.run_as_group
    return message


def _groups(pod: Pod) -> list[int]:
    context = pod.spec.security_context
    extra = () if context.fs_group is None else (context.fs_group,)
    return [*context.supplemental_groups, *extra]


def _seccomp(profile: SeccompProfile | None) -> cri.SecurityProfile:
    if profile is None or profile.type == "Unconfined":
        return cri.SecurityProfile(profile_type=cri.SecurityProfile.Unconfined)
    if profile.type == "Localhost":
        return cri.SecurityProfile(
            profile_type=cri.SecurityProfile.Localhost, localhost_ref=profile.localhost_profile
        )
    return cri.SecurityProfile(profile_type=cri.SecurityProfile.RuntimeDefault)


def container(pod: Pod, config: ContainerConfig, image_ref: str) -> cri.ContainerConfig:
    """The whole container; ``image_ref`` is what the runtime calls the image."""
    spec = config.spec
    return cri.ContainerConfig(
        metadata=cri.ContainerMetadata(name=spec.name, attempt=config.attempt),
        image=cri.ImageSpec(image=image_ref),
        command=config.command,
        args=config.args,
        working_dir=spec.working_dir,
        envs=[cri.KeyValue(key=key, value=value.encode()) for key, value in config.env.items()],
        mounts=[_mount(mount) for mount in config.mounts],
        labels=pod_labels(pod) | {configs.CONTAINER_NAME: spec.name},
        annotations={
            configs.CONTAINER_HASH: config.made_of,
            configs.RESTART_COUNT: str(config.attempt),
            configs.MESSAGE_PATH: spec.termination_message_path,
            configs.MESSAGE_POLICY: spec.termination_message_policy,
            configs.GRACE_PERIOD: str(pod.spec.termination_grace_period_seconds),
            configs.WAIT_SECONDS: f"{config.wait_seconds:g}",
        },
        log_path=config.log_path,
        stdin=spec.stdin,
        stdin_once=spec.stdin_once,
        tty=spec.tty,
        stop_signal=_signal(spec.lifecycle.stop_signal),
        linux=cri.LinuxContainerConfig(
            resources=resources(config.limits),
            security_context=_container_security(pod, spec, config.target_id),
        ),
    )


def _signal(name: str) -> cri.Signal.ValueType:
    """By its name in a pod; the image's own where there is none."""
    return cri.Signal.Value(f"SIGNAL_{name}") if name else cri.SIGNAL_RUNTIME_DEFAULT


def resources(limits: Limits) -> cri.LinuxContainerResources:
    """Kernel terms."""
    return cri.LinuxContainerResources(
        cpu_period=limits.cpu_period if limits.cpu_quota else 0,
        cpu_quota=limits.cpu_quota,
        cpu_shares=limits.cpu_shares,
        memory_limit_in_bytes=limits.memory_bytes,
        memory_swap_limit_in_bytes=limits.swap_bytes,
        oom_score_adj=limits.oom_score_adj,
        cpuset_cpus=limits.cpus,
        cpuset_mems=limits.memory_nodes,
        hugepage_limits=[
            cri.HugepageLimit(page_size=size_word(size), limit=amount)
            for size, amount in sorted(limits.hugepages.items())
        ],
    )


def _mount(mount: Mount) -> cri.Mount:
    return cri.Mount(
        container_path=mount.container_path,
        host_path=mount.host_path,
        readonly=mount.read_only,
        propagation=_PROPAGATION.get(mount.propagation, cri.PROPAGATION_PRIVATE),
    )


def _container_security(
    pod: Pod, spec: Container, target_id: str
) -> cri.LinuxContainerSecurityContext:
    own, shared = spec.security_context, pod.spec.security_context
    message = cri.LinuxContainerSecurityContext(
        capabilities=cri.Capability(
            add_capabilities=own.capabilities.add, drop_capabilities=own.capabilities.drop
        ),
        privileged=own.privileged,
        namespace_options=_namespaces(pod),
        readonly_rootfs=own.read_only_root_filesystem,
        supplemental_groups=_groups(pod),
        no_new_privs=own.allow_privilege_escalation is False,
    )
    if target_id:
        message.namespace_options.pid = cri.TARGET
        message.namespace_options.target_id = target_id
    if not own.privileged:
        message.seccomp.CopyFrom(_seccomp(own.seccomp_profile or shared.seccomp_profile))
        message.masked_paths.extend(MASKED_PATHS)
        message.readonly_paths.extend(READONLY_PATHS)
    user = shared.run_as_user if own.run_as_user is None else own.run_as_user
    group = shared.run_as_group if own.run_as_group is None else own.run_as_group
    if user is not None:
        message.run_as_user.value = user
        if group is not None:
            message.run_as_group.value = group
    return message
