"""Which processes a local cluster is made of, and with which flags each starts."""

from collections.abc import Sequence
from dataclasses import dataclass

from pilothouse.ops import flags
from pilothouse.ops.images.recipes import PAUSE
from pilothouse.ops.local import registry
from pilothouse.ops.local.cluster import CONTROL_PLANE_ADDRESS, CRI_SHIM, POD_CIDR, Cluster, Node
from pilothouse.ops.local.containerd import CNI_BINARIES, snapshotter
from pilothouse.ops.local.fabric import netns_path

# Long enough that a look at componentstatuses sees who is missing, short enough that nobody waits.
CONTROL_RESTART_SECONDS = 1.5
RESTART_SECONDS = 0.3
# The flag that tells the API server which listening socket it was born with.
LISTEN_FLAG = "--listen-fd"
# The nodes of a local cluster share one machine with each other and with its user: a disk that is
# rather full is nobody's emergency, images that somebody loaded stay, and swap may be on.
SHARED_HOST = (
    "--eviction-hard=memory.available<100Mi,nodefs.available<512Mi,nodefs.inodesFree<1%,"
    "imagefs.available<512Mi,imagefs.inodesFree<1%",
    "--image-gc-high-threshold=100",
    "--image-gc-low-threshold=99",
    "--fail-swap-on=false",
)


@dataclass(frozen=True, slots=True)
class Unit:
    """A process to keep running: a service of ours that is forked, or a command."""

    name: str
    arguments: Sequence[str]
    service: str = ""
    netns: str = ""
    restart_seconds: float = RESTART_SECONDS
    inherits_api_socket: bool = False
    # Stopped in this order: what uses others goes before them.
    stop_order: int = 0


def plan(cluster: Cluster) -> list[Unit]:
    """Every process of the cluster, containerd first: it needs the longest until it answers."""
    units = [_containerd(node) for node in cluster.members]
    if cluster.container_runtime == CRI_SHIM:
        units += [_cri_shim(node) for node in cluster.members]
    units += [_apiserver(cluster), _controllers(cluster), _scheduler(cluster)]
    for node in cluster.members:
        units += [_kubelet(node), _proxy(node)]
    return [*units, _routes(cluster), _publish(cluster), _registry(cluster), _guardian(cluster)]


def _mesh(cluster: Cluster, stem: str) -> list[str]:
    return flags.mesh(CONTROL_PLANE_ADDRESS, cluster.pki, stem)


def _containerd(node: Node) -> Unit:
    return Unit(
        f"containerd-{node.name}",
        [
            node.cluster.containerd,
            "--config",
            f"{node.state}/containerd.toml",
            "--log-level",
            "warn",
        ],
        netns=node.netns,
        stop_order=3,
    )


def _cri_shim(node: Node) -> Unit:
    arguments = [
        f"--containerd={node.containerd_socket}",
        f"--listen=unix://{node.cri_socket}",
        f"--root={node.state}/cri",
        f"--state={node.run}/cri",
        f"--snapshotter={snapshotter(node.state)}",
        f"--pod-infra-container-image={PAUSE}",
        f"--cni-conf-dir={node.state}/cni/net.d",
        f"--cni-bin-dir={CNI_BINARIES}",
        f"--cni-cache-dir={node.state}/cni/cache",
        f"--registry-config-path={node.cluster.config}/certs.d",
        f"--runtime-root={node.run}/runc",
    ]
    name = f"cri-shim-{node.name}"
    return Unit(name, arguments, service="cri-shim", netns=node.netns, stop_order=2)


def _apiserver(cluster: Cluster) -> Unit:
    control_plane = flags.ControlPlane(
        CONTROL_PLANE_ADDRESS, cluster.pki, cluster.state, cluster.run
    )
    return Unit(
        "apiserver",
        control_plane.apiserver(),
        service="apiserver",
        netns=cluster.slug,
        inherits_api_socket=True,
        stop_order=2,
    )


def _controllers(cluster: Cluster) -> Unit:
    arguments = [
        *_mesh(cluster, "controllers"),
        *flags.signing(cluster.pki),
        f"--cluster-cidr={POD_CIDR}",
        f"--socket={cluster.run}/controllers.sock",
        # Kept with the state: after a loss of power nobody waits for a Lease of the dead.
        f"--leader-elect-mark={cluster.state}/controllers.leader",
    ]
    return Unit(
        "controllers",
        arguments,
        service="controllers",
        netns=cluster.slug,
        restart_seconds=CONTROL_RESTART_SECONDS,
    )


def _scheduler(cluster: Cluster) -> Unit:
    arguments = [
        *_mesh(cluster, "scheduler"),
        f"--socket={cluster.run}/scheduler.sock",
        f"--leader-elect-mark={cluster.state}/scheduler.leader",
    ]
    return Unit(
        "scheduler",
        arguments,
        service="scheduler",
        netns=cluster.slug,
        restart_seconds=CONTROL_RESTART_SECONDS,
    )


def _kubelet(node: Node) -> Unit:
    cluster = node.cluster
    arguments = [
        *_mesh(cluster, f"kubelet-{node.name}"),
        f"--node-name={node.name}",
        f"--node-ip={node.address}",
        f"--container-runtime-endpoint=unix://{node.cri_socket}",
        f"--root-dir={node.state}/kubelet",
        f"--log-dir={node.state}/logs/pods",
        f"--cni-conf-dir={node.state}/cni/net.d",
        f"--cgroup-root=/{cluster.slug}/{node.name}",
        f"--pod-manifest-path={node.state}/manifests",
        f"--socket={cluster.run}/kubelet-{node.name}.sock",
        *SHARED_HOST,
    ]
    return Unit(f"kubelet-{node.name}", arguments, service="kubelet", netns=node.netns)


def _proxy(node: Node) -> Unit:
    cluster = node.cluster
    arguments = [
        *_mesh(cluster, f"proxy-{node.name}"),
        f"--node-name={node.name}",
        f"--cluster-cidr={POD_CIDR}",
        f"--socket={cluster.run}/proxy-{node.name}.sock",
    ]
    return Unit(f"proxy-{node.name}", arguments, service="proxy", netns=node.netns)


def _routes(cluster: Cluster) -> Unit:
    arguments = [f"--server=unix://{cluster.run}/apiserver.sock"]
    return Unit("routes", arguments, service="routes", netns=cluster.slug)


def _publish(cluster: Cluster) -> Unit:
    arguments = [
        f"--server=unix://{cluster.run}/apiserver.sock",
        f"--address={cluster.publish_address}",
    ]
    arguments += [f"--node={node.address}={netns_path(node.netns)}" for node in cluster.members]
    return Unit("publish", arguments, service="publish")


def _registry(cluster: Cluster) -> Unit:
    arguments = [registry.BINARY, "serve", f"{cluster.config}/registry.yaml"]
    return Unit("registry", arguments, netns=cluster.slug)


def _guardian(cluster: Cluster) -> Unit:
    return Unit("guardian", [cluster.name], service="guardian", stop_order=-1)
