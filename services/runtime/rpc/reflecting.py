"""Server reflection, loaded when somebody asks: few do, and with it come more descriptors."""

from collections.abc import Sequence
from typing import Any

import grpc
from typing_extensions import override

SERVICE = "grpc.reflection.v1alpha.ServerReflection"


class Reflection(grpc.GenericRpcHandler):
    """Tells clients of the services named ``names``, and of itself."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = (*names, SERVICE)
        self._handler: Any = None

    @override
    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        if handler_call_details.method != f"/{SERVICE}/ServerReflectionInfo":
            return None
        if self._handler is None:
            self._handler = _load(self._names)
        return self._handler


def _load(names: Sequence[str]) -> Any:
    from grpc_reflection.v1alpha import reflection_pb2  # noqa: PLC0415 - see above
    from grpc_reflection.v1alpha._async import ReflectionServicer  # noqa: PLC0415 - see above

    return grpc.stream_stream_rpc_method_handler(
        ReflectionServicer(names).ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
