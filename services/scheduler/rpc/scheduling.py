"""``mesh.v1.Scheduling``: decode, ask, encode."""

from typing_extensions import override

from pilothouse.protos.mesh.v1 import scheduling_pb2 as pb
from pilothouse.protos.mesh.v1.scheduling_pb2_grpc import (
    SchedulingServicer,
    add_SchedulingServicer_to_server,
)
from pilothouse.services.machinery.errors import NotFound, Subject
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.rpc.errors import Context
from pilothouse.services.runtime.rpc.server import Service
from pilothouse.services.scheduler.cycle import Verdict
from pilothouse.services.scheduler.ports import Pods
from pilothouse.services.scheduler.scheduler import NodeAnswer, Scheduler


class Scheduling(SchedulingServicer):
    """Says why a pod is where it is, or is nowhere."""

    def __init__(self, scheduler: Scheduler, pods: Pods) -> None:
        self._scheduler = scheduler
        self._pods = pods

    @override
    async def Explain(self, request: pb.ExplainRequest, context: Context) -> pb.ExplainResponse:
        pod = self._pods.candidate(Key(request.namespace or "default", request.name))
        if pod is None:
            raise NotFound(
                f'pods "{request.name}" not found', subject=Subject(kind="pods", name=request.name)
            )
        answer = self._scheduler.explain(pod)
        return pb.ExplainResponse(
            node=answer.node,
            bound=answer.bound,
            summary=answer.summary,
            nodes=[_node(node) for node in answer.nodes],
        )


def service(scheduler: Scheduler, pods: Pods) -> Service:
    """What the server needs to serve this."""
    servicer = Scheduling(scheduler, pods)
    name = pb.DESCRIPTOR.services_by_name["Scheduling"].full_name
    return Service(name, lambda server: add_SchedulingServicer_to_server(servicer, server))


def _node(node: NodeAnswer) -> pb.NodeVerdict:
    return pb.NodeVerdict(
        node=node.node,
        fits=node.fits,
        score=node.score if node.fits else 0.0,
        plugins=[_plugin(verdict) for verdict in node.verdicts],
    )


def _plugin(verdict: Verdict) -> pb.PluginVerdict:
    return pb.PluginVerdict(
        plugin=verdict.plugin,
        point=pb.PluginVerdict.FILTER if verdict.filters else pb.PluginVerdict.SCORE,
        fits=not verdict.reason,
        reason=verdict.reason,
        score=verdict.score,
    )
