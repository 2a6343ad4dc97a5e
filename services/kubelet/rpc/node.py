"""``mesh.v1.Node``: the pods of this node as its kubelet sees them."""

from typing_extensions import override

from pilothouse.protos.mesh.v1 import node_pb2 as pb
from pilothouse.protos.mesh.v1.node_pb2_grpc import NodeServicer, add_NodeServicer_to_server
from pilothouse.services.kubelet.eviction.values import Eviction
from pilothouse.services.kubelet.manifests import static_pods
from pilothouse.services.kubelet.pod import explaining
from pilothouse.services.kubelet.pod.observed import Container
from pilothouse.services.kubelet.rpc import figures
from pilothouse.services.kubelet.stats.values import Usages
from pilothouse.services.kubelet.workers.pods import Pods
from pilothouse.services.kubelet.workers.worker import PodWorker
from pilothouse.services.machinery.errors import BadRequest, Conflict, NotFound, Subject
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.clock import Clock
from pilothouse.services.runtime.rpc.errors import Context
from pilothouse.services.runtime.rpc.server import Service

AGE_SECONDS = 10.0
PROCESSING_AGE_SECONDS = 1.0
REASON = "Evicted"
MESSAGE = "The pod was evicted on request of the node's administrator."
CAUSE = "EvictionByEvictionAPI"


class NodeService(NodeServicer):
    """Reads the workers' last observation; only Stats looks anew."""

    def __init__(self, pods: Pods, usages: Usages, clock: Clock) -> None:
        self._pods = pods
        self._usages = usages
        self._clock = clock

    @override
    async def ListPods(self, request: pb.ListPodsRequest, context: Context) -> pb.ListPodsResponse:
        return pb.ListPodsResponse(pods=[_pod(worker) for worker in self._pods.workers()])

    @override
    async def ExplainPod(
        self, request: pb.ExplainPodRequest, context: Context
    ) -> pb.ExplainPodResponse:
        worker = self._find(request.namespace, request.name)
        found = explaining.obstacles(
            worker.pod, worker.observed, worker.known, worker.status, self._clock.now()
        )
        return pb.ExplainPodResponse(
            phase=worker.phase,
            ready=_is_ready(worker),
            summary=explaining.summary(found),
            obstacles=[
                pb.Obstacle(
                    about=item.about,
                    reason=item.reason,
                    message=item.message,
                    retry_seconds=item.retry_seconds,
                )
                for item in found
            ],
        )

    @override
    async def Stats(self, request: pb.StatsRequest, context: Context) -> pb.StatsResponse:
        if request.only_cpu_and_memory:
            return figures.stats(await self._usages.processing(PROCESSING_AGE_SECONDS))
        return figures.stats(await self._usages.everything(AGE_SECONDS))

    @override
    async def Evict(self, request: pb.EvictRequest, context: Context) -> pb.EvictResponse:
        worker = self._find(request.namespace, request.name)
        if request.uid and request.uid != worker.pod.uid:
            raise Conflict(f"the pod of this name has the uid {worker.pod.uid}")
        grace = worker.pod.spec.termination_grace_period_seconds
        if request.HasField("grace_seconds"):
            grace = request.grace_seconds
        if grace < 0:
            raise BadRequest("grace_seconds must not be negative")
        worker.evict(Eviction(REASON, request.message or MESSAGE, grace, CAUSE))
        return pb.EvictResponse()

    def _find(self, namespace: str, name: str) -> PodWorker:
        worker = self._pods.find(Key(namespace or "default", name))
        if worker is None:
            told = Subject(kind="pods", name=name)
            raise NotFound(f'pods "{name}" not found', subject=told)
        return worker


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
        containers=[_container(item) for item in observed.containers],
        ready=_is_ready(worker),
        static=static_pods.is_static(worker.pod),
        ending=metadata.deleting or worker.is_evicted,
    )


def _container(item: Container) -> pb.NodeContainer:
    return pb.NodeContainer(
        name=item.name,
        id=item.id,
        state=item.state,
        restart_count=item.attempt,
        image=item.image,
        exit_code=item.exit_code,
        reason=item.reason,
    )


def _is_ready(worker: PodWorker) -> bool:
    conditions = worker.status.get("conditions") or ()
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


def service(pods: Pods, usages: Usages, clock: Clock) -> Service:
    """For :func:`pilothouse.services.runtime.rpc.server.serve`."""
    servicer = NodeService(pods, usages, clock)
    return Service(
        pb.DESCRIPTOR.services_by_name["Node"].full_name,
        lambda server: add_NodeServicer_to_server(servicer, server),
    )
