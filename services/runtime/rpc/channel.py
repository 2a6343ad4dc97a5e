"""Channels to other services: a unix socket, or mutual TLS."""

from collections.abc import Sequence

from grpc import aio

from pilothouse.services.runtime.rpc.tls import Identity

MESSAGE_BYTES_MAX = 64 * 1024 * 1024

OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # How long a connection may take to stand: TLS over a busy machine or a long way takes long.
    ("grpc.min_reconnect_backoff_ms", 5_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.use_local_subchannel_pool", 1),
)


def open_channel(
    address: str,
    identity: Identity | None = None,
    interceptors: Sequence[aio.ClientInterceptor] = (),
) -> aio.Channel:
    """A channel to ``unix:///path`` (no TLS) or ``host:port`` (mutual TLS with ``identity``)."""
    if address.startswith("unix:"):
        return aio.insecure_channel(address, options=OPTIONS, interceptors=interceptors)
    if identity is None:
        raise ValueError(
            f"{address}: a TCP address needs an identity, between processes TLS is mutual"
        )
    return aio.secure_channel(
        address, identity.client(), options=OPTIONS, interceptors=interceptors
    )
