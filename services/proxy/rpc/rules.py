"""``mesh.v1.Rules`` over the proxier: ask, encode."""

from collections.abc import Sequence
from typing import Protocol

from grpc import aio
from typing_extensions import override

from pilothouse.protos.mesh.v1 import rules_pb2 as pb
from pilothouse.protos.mesh.v1.rules_pb2_grpc import RulesServicer, add_RulesServicer_to_server
from pilothouse.services.proxy.rules import PortRule
from pilothouse.services.runtime.rpc.errors import Context
from pilothouse.services.runtime.rpc.server import Service


class Ruled(Protocol):
    """Whoever knows what the kernel was told."""

    def rules(self) -> Sequence[PortRule]: ...


class Rules(RulesServicer):
    """The rules of this node."""

    def __init__(self, ruled: Ruled) -> None:
        self._ruled = ruled

    @override
    async def List(self, request: pb.ListRulesRequest, context: Context) -> pb.ListRulesResponse:
        return pb.ListRulesResponse(
            rules=[
                _encode(rule)
                for rule in self._ruled.rules()
                if request.namespace in {"", rule.namespace}
            ]
        )


def service(ruled: Ruled) -> Service:
    """The service for :func:`pilothouse.services.runtime.rpc.server.serve`."""

    def add(server: aio.Server) -> None:
        add_RulesServicer_to_server(Rules(ruled), server)

    return Service(pb.DESCRIPTOR.services_by_name["Rules"].full_name, add)


def _encode(rule: PortRule) -> pb.ServiceRule:
    return pb.ServiceRule(
        namespace=rule.namespace,
        service=rule.service,
        port_name=rule.port_name,
        protocol=rule.protocol.upper(),
        cluster_ip=rule.cluster_ip,
        port=rule.port,
        node_port=rule.node_port,
        endpoints=[f"{backend.address}:{backend.port}" for backend in rule.endpoints],
    )
