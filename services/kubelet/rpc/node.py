"""``mesh.v1.Node``: the pods of this node as its kubelet sees them."""

from typing_extensions import override

from pilothouse.protos.mesh.v1 import node_pb2 as pb
from pilothouse.protos.mesh.v1.node_pb2_grpc import NodeServicer, add_NodeServicer_to_server
from pilothouse.services.kubelet.workers.pods import Pods
from pilothouse.services.kubelet.workers.worker import PodWorker
from pilothouse.services.runtime.rpc.errors import Context
from pilothouse.services.runtime.rpc.server import Service


class NodeService(NodeServicer):
    """Reads the workers' last observation; asks nobody."""

    def __init__(self, pods: Pods) -> None:
        self._pods = pods

    @override
    async def ListPods(self, request: pb.ListPodsRequest, context: Context) -> pb.ListPodsResponse:
        return pb.ListPodsResponse(pods=[_pod(worker) for worker in self._pods.workers()])


def _pod(worker: PodWorker) -> pb.NodePod:
    metadata, observed = worker.pod.metadata, worker.observed
    sandbox = observed.sandbox
    return pb.NodePod(
        namespace=metadata.namespace,
        name=metadata.name,
        uid=metadata.uid,
        phase=worker.phase,
        sandbox_id=sandbox.id if sandbox is not None else "",
        ip=sandbox.ips[0] if sandbox is not None and sandbox.ips else "",
        containers=[
            pb.NodeContainer(
                name=item.name, id=item.id, state=item.state, restart_count=item.attempt
            )
            for item in observed.containers
        ],
    )


def service(pods: Pods) -> Service:
    """For :func:`pilothouse.services.runtime.rpc.server.serve`."""
    servicer = NodeService(pods)
    return Service(
        pb.DESCRIPTOR.services_by_name["Node"].full_name,
        lambda server: add_NodeServicer_to_server(servicer, server),
    )
