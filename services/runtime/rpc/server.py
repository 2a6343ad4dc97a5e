"""A gRPC server with what each of ours has: health, reflection, translated errors."""

import contextlib
import ipaddress
import os
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer

from pilothouse.services.runtime.rpc.channel import MESSAGE_BYTES_MAX
from pilothouse.services.runtime.rpc.errors import ErrorInterceptor
from pilothouse.services.runtime.rpc.reflecting import Reflection
from pilothouse.services.runtime.rpc.tls import Identity

DRAIN_SECONDS = 2.0
SOCKET_MODE = 0o600

OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.so_reuseport", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
)


@dataclass(frozen=True, slots=True)
class Service:
    """One gRPC service: its full name and the generated ``add_…_to_server`` with the servicer."""

    name: str
    add: Callable[[aio.Server], None]


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to listen: a unix socket's path, or ``host:port`` with an identity for mutual TLS.

    ``insecure`` lets clients that know no TLS in, and is for loopback addresses only.
    """

    address: str
    identity: Identity | None = None
    insecure: bool = False

    @property
    def is_unix(self) -> bool:
        """The address is a path."""
        return self.address.startswith("/")

    @property
    def allowed(self) -> bool:
        """A path, or TCP with mutual TLS, or TCP without it on a loopback address."""
        if self.is_unix or self.identity is not None:
            return True
        host = self.address.rpartition(":")[0].strip("[]")
        try:
            return self.insecure and ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False


@contextlib.asynccontextmanager
async def serve(
    services: Sequence[Service], listens: Sequence[Listen]
) -> AsyncIterator[HealthServicer]:
    """Serve until the block ends, then drain; yields the health that says SERVING for all."""
    server = aio.server(interceptors=[ErrorInterceptor()], options=OPTIONS)
    health = HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    for service in services:
        service.add(server)
        await health.set(service.name, health_pb2.HealthCheckResponse.SERVING)
    await health.set("", health_pb2.HealthCheckResponse.SERVING)
    names = [service.name for service in services]
    names.append(health_pb2.DESCRIPTOR.services_by_name["Health"].full_name)
    server.add_generic_rpc_handlers((Reflection(names),))
    for listen in listens:
        _bind(server, listen)
    await server.start()
    _make_private(listens)
    try:
        yield health
    finally:
        await health.enter_graceful_shutdown()
        await server.stop(DRAIN_SECONDS)


def _bind(server: aio.Server, listen: Listen) -> None:
    if listen.identity is not None:
        server.add_secure_port(listen.address, listen.identity.server())
        return
    if listen.insecure:
        if not listen.allowed:
            raise ValueError(f"{listen.address}: without TLS only loopback addresses are served")
        server.add_insecure_port(listen.address)
        return
    path = Path(listen.address)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    path.unlink(missing_ok=True)
    before = os.umask(0o177)
    try:
        server.add_insecure_port(f"unix://{path}")
    finally:
        os.umask(before)


def _make_private(listens: Sequence[Listen]) -> None:
    for listen in listens:
        if listen.identity is None and not listen.insecure:
            Path(listen.address).chmod(SOCKET_MODE)
