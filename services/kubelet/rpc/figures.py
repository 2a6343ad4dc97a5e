"""What is used, as ``mesh.v1.Node`` tells it."""

from pilothouse.protos.mesh.v1 import node_pb2 as pb
from pilothouse.services.kubelet.stats.values import NodeUsage, Part, PodUsage, Usage

NANOSECONDS = 1_000_000_000
NANOCORES = 1_000_000
"""In a thousandth of a CPU."""


def stats(usage: Usage) -> pb.StatsResponse:
    """The whole."""
    return pb.StatsResponse(node=_node(usage.node), pods=[_pod(pod) for pod in usage.pods])


def _node(node: NodeUsage) -> pb.NodeFigures:
    disk = node.filesystem
    return pb.NodeFigures(
        figures=_figures(node.part),
        memory_bytes=node.memory_bytes,
        memory_available_bytes=node.memory_available_bytes or 0,
        disk_bytes=0 if disk is None else disk.capacity_bytes or 0,
        disk_available_bytes=0 if disk is None else disk.available_bytes or 0,
    )


def _pod(pod: PodUsage) -> pb.PodFigures:
    interfaces = () if pod.network is None else pod.network.interfaces
    return pb.PodFigures(
        namespace=pod.namespace,
        name=pod.name,
        uid=pod.uid,
        figures=_figures(pod.part),
        containers=[
            pb.ContainerFigures(name=item.name, figures=_figures(item.part))
            for item in pod.containers
        ],
        network_rx_bytes=sum(item.rx_bytes for item in interfaces),
        network_tx_bytes=sum(item.tx_bytes for item in interfaces),
        disk_used_bytes=0 if pod.ephemeral is None else pod.ephemeral.used_bytes or 0,
    )


def _figures(part: Part) -> pb.Figures:
    cgroup = part.cgroup
    if cgroup is None:
        return pb.Figures()
    return pb.Figures(
        cpu_milli=(part.nanocores or 0) // NANOCORES,
        cpu_seconds=cgroup.cpu_nanoseconds / NANOSECONDS,
        memory_working_set_bytes=cgroup.memory.working_set_bytes,
        memory_rss_bytes=cgroup.memory.rss_bytes,
        processes=cgroup.processes,
    )
