"""From the kubelet's words to CRI's messages. No call is made here."""

from pilothouse.protos.cri.v1 import api_pb2 as cri
from pilothouse.services.kubelet.adapters.cri import contexts as confining
from pilothouse.services.kubelet.pod import configs
from pilothouse.services.kubelet.pod.configs import ContainerConfig, Mount, SandboxConfig
from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.kubelet.resources.cgroup_files import size_word
from pilothouse.services.kubelet.resources.qos import Limits
from pilothouse.services.kubelet.security.rules import sysctls_of

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
            sysctls=sysctls_of(pod, config.rules),
            security_context=confining.sandbox(config),
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


def container(
    made_in: SandboxConfig, config: ContainerConfig, image_ref: str
) -> cri.ContainerConfig:
    """The whole container; ``image_ref`` is what the runtime calls the image."""
    pod, spec = made_in.pod, config.spec
    return cri.ContainerConfig(
        metadata=cri.ContainerMetadata(name=spec.name, attempt=config.attempt),
        image=cri.ImageSpec(image=image_ref),
        command=config.command,
        args=config.args,
        working_dir=spec.working_dir,
        envs=[cri.KeyValue(key=key, value=value.encode()) for key, value in config.env.items()],
        mounts=[_mount(mount) for mount in config.mounts],
        devices=[
            cri.Device(
                container_path=item.container_path,
                host_path=item.host_path,
                permissions=item.permissions,
            )
            for item in config.devices
        ],
        CDI_devices=[cri.CDIDevice(name=name) for name in config.cdi_devices],
        labels=pod_labels(pod) | {configs.CONTAINER_NAME: spec.name},
        annotations={
            **config.annotations,
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
            security_context=confining.container(made_in, config),
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
        image=cri.ImageSpec(image=mount.image) if mount.image else None,
        image_sub_path=mount.image_sub_path,
        container_path=mount.container_path,
        host_path=mount.host_path,
        readonly=mount.read_only,
        propagation=_PROPAGATION.get(mount.propagation, cri.PROPAGATION_PRIVATE),
        recursive_read_only=mount.read_only and mount.recursive_read_only == "Enabled",
    )
