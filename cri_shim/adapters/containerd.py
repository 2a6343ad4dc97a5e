"""How containerd's native services are called: in one namespace, with our errors."""

from collections.abc import Awaitable
from typing import TypeVar

from grpc import aio

from pilothouse.services.runtime.rpc.errors import from_rpc

NAMESPACE = "k8s.io"
METADATA = (("containerd-namespace", NAMESPACE),)
CALL_SECONDS_MAX = 110.0
SPEC_URL = "types.containerd.io/opencontainers/runtime-spec/1/Spec"
PROCESS_URL = "types.containerd.io/opencontainers/runtime-spec/1/Process"
RESOURCES_URL = "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources"

T = TypeVar("T")


async def answer(call: Awaitable[T]) -> T:
    """The answer, or the :class:`ApiError` that the refusal means."""
    try:
        return await call
    except aio.AioRpcError as error:
        raise from_rpc(error) from None
