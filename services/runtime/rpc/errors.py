"""Translate :mod:`pilothouse.services.machinery.errors` to gRPC statuses and back, in one place."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NoReturn, TypeAlias

import grpc
from grpc import aio
from typing_extensions import override

from pilothouse.services.machinery import errors
from pilothouse.services.machinery.errors import ApiError
from pilothouse.services.runtime import telemetry

STATUS_METADATA = "pilothouse-status-bin"

Context: TypeAlias = aio.ServicerContext[Any, Any]
_Unary = Callable[[Any, Context], Awaitable[Any]]
_Streaming = Callable[[Any, Context], AsyncIterator[Any]]


class ErrorInterceptor(aio.ServerInterceptor):
    """Abort the call with the status that the raised :class:`ApiError` names."""

    def __init__(self) -> None:
        self._wrapped: dict[str, Any] = {}

    @override
    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        method = handler_call_details.method
        known = self._wrapped.get(method)
        if known is None:
            handler = await continuation(handler_call_details)
            if handler is None or method.startswith("/grpc."):
                return handler
            known = self._wrapped[method] = _wrap(handler)
        return known


def _wrap(handler: Any) -> Any:
    """The same kind of handler, whose behaviour translates what it raises."""
    if handler.response_streaming:
        kind = (
            grpc.stream_stream_rpc_method_handler
            if handler.request_streaming
            else grpc.unary_stream_rpc_method_handler
        )
        wrapped: Any = _streaming(handler.stream_stream or handler.unary_stream)
    else:
        kind = (
            grpc.stream_unary_rpc_method_handler
            if handler.request_streaming
            else grpc.unary_unary_rpc_method_handler
        )
        wrapped = _unary(handler.stream_unary or handler.unary_unary)
    return kind(wrapped, handler.request_deserializer, handler.response_serializer)


def _unary(behaviour: _Unary) -> _Unary:
    async def call(request: Any, context: Context) -> Any:
        try:
            return await behaviour(request, context)
        except ApiError as error:
            await _abort(context, error)
        except Exception as error:  # noqa: BLE001 - a bug becomes INTERNAL, told in the log
            await _abort_bug(context, error)

    return call


def _streaming(behaviour: _Streaming) -> _Streaming:
    async def call(request: Any, context: Context) -> AsyncIterator[Any]:
        try:
            async for response in behaviour(request, context):
                yield response
        except ApiError as error:
            await _abort(context, error)
        except Exception as error:  # noqa: BLE001 - a bug becomes INTERNAL, told in the log
            await _abort_bug(context, error)

    return call


async def _abort(context: Context, error: ApiError) -> NoReturn:
    status = json.dumps(error.status()).encode()
    await context.abort(grpc.StatusCode[error.grpc], error.message, ((STATUS_METADATA, status),))


async def _abort_bug(context: Context, error: Exception) -> NoReturn:
    if isinstance(error, aio.AbortError):
        raise error
    telemetry.logger().error("call failed", exc_info=error)
    await _abort(context, errors.InternalError("internal error; the service's log has the trace"))


_BY_CODE: dict[grpc.StatusCode, type[ApiError]] = {
    grpc.StatusCode.NOT_FOUND: errors.NotFound,
    grpc.StatusCode.ALREADY_EXISTS: errors.AlreadyExists,
    grpc.StatusCode.ABORTED: errors.Conflict,
    grpc.StatusCode.OUT_OF_RANGE: errors.Expired,
    grpc.StatusCode.INVALID_ARGUMENT: errors.Invalid,
    grpc.StatusCode.UNAUTHENTICATED: errors.Unauthorized,
    grpc.StatusCode.PERMISSION_DENIED: errors.Forbidden,
    grpc.StatusCode.RESOURCE_EXHAUSTED: errors.TooManyRequests,
    grpc.StatusCode.UNIMPLEMENTED: errors.MethodNotAllowed,
    grpc.StatusCode.UNAVAILABLE: errors.ServiceUnavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: errors.Timeout,
}


def from_rpc(error: aio.AioRpcError) -> ApiError:
    """The error that a peer of ours, or any gRPC server, meant."""
    for key, value in error.trailing_metadata() or ():
        if key == STATUS_METADATA and isinstance(value, bytes):
            return errors.from_status(json.loads(value))
    kind = _BY_CODE.get(error.code(), errors.InternalError)
    return kind(error.details() or error.code().name)
