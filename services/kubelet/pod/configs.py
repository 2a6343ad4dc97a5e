"""What the runtime is told of a sandbox or container, in the kubelet's words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pilothouse.services.kubelet.pod.views import Container, Pod
from pilothouse.services.kubelet.resources.qos import Limits
from pilothouse.services.kubelet.security.ranges import IdRange
from pilothouse.services.kubelet.security.rules import Rules
from pilothouse.services.machinery.errors import BadRequest

POD_NAME = "io.kubernetes.pod.name"
POD_NAMESPACE = "io.kubernetes.pod.namespace"
POD_UID = "io.kubernetes.pod.uid"
CONTAINER_NAME = "io.kubernetes.container.name"
CONTAINER_HASH = "io.kubernetes.container.hash"
RESTART_COUNT = "io.kubernetes.container.restartCount"
MESSAGE_PATH = "io.kubernetes.container.terminationMessagePath"
MESSAGE_POLICY = "io.kubernetes.container.terminationMessagePolicy"
GRACE_PERIOD = "io.kubernetes.pod.terminationGracePeriod"
WAIT_SECONDS = "pilothouse.io/restart-wait-seconds"

HOSTNAME_CHARACTERS_MAX = 63
KERNEL_HOSTNAME_CHARACTERS_MAX = 64


@dataclass(frozen=True, slots=True)
class Dns:
    """Content of a pod's ``/etc/resolv.conf``."""

    servers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    """``ids``: of the pod's own user namespace. ``rules``: what confines its containers."""

    pod: Pod
    attempt: int
    hostname: str
    dns: Dns
    log_directory: str
    cgroup_parent: str
    runtime_handler: str = ""
    ids: IdRange | None = None
    rules: Rules = field(default_factory=Rules)


@dataclass(frozen=True, slots=True)
class Mount:
    container_path: str
    host_path: str
    read_only: bool = False
    propagation: str = ""
    recursive_read_only: str = ""
    image: str = ""
    image_sub_path: str = ""


@dataclass(frozen=True, slots=True)
class DeviceNode:
    """A device of the host; ``permissions`` of ``r``, ``w`` and ``m``."""

    container_path: str
    host_path: str
    permissions: str = "rwm"


@dataclass(frozen=True, slots=True)
class ContainerConfig:
    """``command`` and ``args`` are expanded, ``env`` is in order, ``log_path`` is relative.

    ``target_id``: the container whose processes it shares. ``image_user``: whom the image runs as.
    """

    spec: Container
    attempt: int
    made_of: str
    wait_seconds: float
    command: Sequence[str]
    args: Sequence[str]
    env: Mapping[str, str]
    mounts: Sequence[Mount]
    limits: Limits
    image_user: int | None = None
    target_id: str = ""
    devices: Sequence[DeviceNode] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)
    cdi_devices: Sequence[str] = ()

    @property
    def log_path(self) -> str:
        return f"{self.spec.name}/{self.attempt}.log"


def hostname_of(pod: Pod) -> str:
    """The pod's own host name."""
    if pod.spec.hostname_override is not None:
        return pod.spec.hostname_override
    name = pod.spec.hostname or pod.metadata.name
    return name[:HOSTNAME_CHARACTERS_MAX].rstrip("-.")


def full_hostname_of(pod: Pod, domain: str) -> str:
    """With its subdomain, where it has one, below the cluster's ``domain``."""
    hostname = hostname_of(pod)
    if not pod.spec.subdomain or pod.spec.hostname_override is not None:
        return hostname
    return f"{hostname}.{pod.spec.subdomain}.{pod.metadata.namespace}.svc.{domain}"


def kernel_hostname_of(pod: Pod, domain: str) -> str:
    """What the pod's UTS namespace is called; BadRequest where the kernel has no room for it."""
    if not pod.spec.set_hostname_as_fqdn:
        return hostname_of(pod)
    name = full_hostname_of(pod, domain)
    if len(name) > KERNEL_HOSTNAME_CHARACTERS_MAX:
        most = KERNEL_HOSTNAME_CHARACTERS_MAX
        raise BadRequest(
            f"failed to construct FQDN from Pod hostname and cluster domain, FQDN {name} is too "
            f"long ({most} characters is the max, {len(name)} characters requested)"
        )
    return name


def dns_of(pod: Pod, cluster: Dns, host: Dns) -> Dns:
    """``cluster`` has the cluster's servers and domain; ``host`` is the node's own resolv.conf."""
    policy = pod.spec.dns_policy
    own = pod.spec.dns_config
    base = host
    wants_cluster = policy == "ClusterFirstWithHostNet" or (
        policy == "ClusterFirst" and not pod.spec.host_network
    )
    if policy == "None":
        base = Dns()
    elif wants_cluster and cluster.servers:
        domain = cluster.searches[0]
        searches = (f"{pod.metadata.namespace}.svc.{domain}", f"svc.{domain}", domain)
        base = Dns(cluster.servers, (*searches, *host.searches), ("ndots:5",))
    options = {item.partition(":")[0]: item for item in base.options}
    for option in own.options:
        options[option.name] = option.name if option.value is None else (
            f"{option.name}:{option.value}"
        )  # fmt: skip
    return Dns(
        tuple(dict.fromkeys((*base.servers, *own.nameservers))),
        tuple(dict.fromkeys((*base.searches, *own.searches))),
        tuple(options.values()),
    )


def parse_resolv_conf(text: str) -> Dns:
    """The node's ``/etc/resolv.conf``."""
    servers: list[str] = []
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    for line in text.splitlines():
        words = line.split()
        match words:
            case ["nameserver", server, *_]:
                servers.append(server)
            case ["search", *domains]:
                searches = tuple(domains)
            case ["options", *found]:
                options = tuple(found)
    return Dns(tuple(servers), searches, options)


def hosts_file(pod: Pod, ips: Sequence[str], cluster_domain: str) -> str:
    """Content of the pod's ``/etc/hosts``."""
    hostname, full = hostname_of(pod), full_hostname_of(pod, cluster_domain)
    names = hostname if full == hostname else f"{full}\t{hostname}"
    lines = [
        "# Kubernetes-managed hosts file.",
        "127.0.0.1\tlocalhost",
        "::1\tlocalhost ip6-localhost ip6-loopback",
        "fe00::0\tip6-localnet",
        "fe00::0\tip6-mcastprefix",
        "fe00::1\tip6-allnodes",
        "fe00::2\tip6-allrouters",
    ]
    lines += [f"{ip}\t{names}" for ip in ips]
    return "\n".join(lines) + "\n" + _aliases(pod)


def host_network_hosts_file(pod: Pod, own: str) -> str:
    """The same for a pod in the node's network; ``own`` is the node's ``/etc/hosts``."""
    return f"# Kubernetes-managed hosts file (host network).\n{own}{_aliases(pod)}"


def _aliases(pod: Pod) -> str:
    if not pod.spec.host_aliases:
        return ""
    lines = [f"{alias.ip}\t" + "\t".join(alias.hostnames) for alias in pod.spec.host_aliases]
    return "\n".join(["", "# Entries added by HostAliases.", *lines, ""])
