"""``pilothouse publish``: a local cluster's node ports on the host's loopback address.

The host gets listening sockets and nothing else. Which ports, the API server says: this follows
Services, and each connection is carried into a node's network namespace (:mod:`relay`).
"""

import argparse
import asyncio
import contextlib
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pilothouse.ops.relay import Datagrams, Nodes, Way, relay
from pilothouse.services.machinery.kinds.services import Service
from pilothouse.services.machinery.resources import SERVICES
from pilothouse.services.runtime import process, telemetry
from pilothouse.services.runtime.client.cache import Cache
from pilothouse.services.runtime.client.events import Recorder, Reference
from pilothouse.services.runtime.client.objects import Objects
from pilothouse.services.runtime.clock import SystemClock
from pilothouse.services.runtime.rpc.channel import open_channel

BACKLOG = 1024
RETRY_SECONDS = 5.0
"""How often a port that was taken is tried again."""


@dataclass(frozen=True, slots=True)
class Config:
    """``address`` is where the ports appear on the host; ``ways`` lead into the cluster."""

    server: str
    address: str
    ways: tuple[Way, ...]


@dataclass(frozen=True, slots=True, order=True)
class NodePort:
    """``protocol`` is TCP or UDP."""

    protocol: str
    port: int


def parse(argv: list[str]) -> Config:
    """Flags; exits on a wrong one."""
    parser = argparse.ArgumentParser(prog="pilothouse publish", description=__doc__)
    parser.add_argument("--server", required=True, help="the mesh: unix:///PATH")
    parser.add_argument("--address", default="127.0.0.1", help="where the ports appear")
    parser.add_argument(
        "--node", action="append", required=True, metavar="ADDRESS=NETNS",
        help="a node's address and the file of its network namespace; may be repeated",
    )  # fmt: skip
    flags = parser.parse_args(argv)
    ways = [node.partition("=") for node in flags.node]
    return Config(
        server=flags.server,
        address=flags.address,
        ways=tuple(Way(Path(netns), address) for address, _, netns in ways),
    )


def wanted(services: list[Service]) -> dict[NodePort, Service]:
    """The node ports there should be, each with the Service it belongs to."""
    return {
        NodePort(port.protocol, port.node_port): service
        for service in services
        if service.spec.type in {"NodePort", "LoadBalancer"}
        for port in service.spec.ports
        if port.node_port and port.protocol in {"TCP", "UDP"}
    }


class Publisher:
    """Listening sockets that follow the wanted node ports."""

    def __init__(self, address: str, nodes: Nodes, group: asyncio.TaskGroup) -> None:
        self._address = address
        self._nodes = nodes
        self._group = group
        self._open: dict[NodePort, asyncio.Task[None]] = {}

    async def follow(self, want: Mapping[NodePort, Service]) -> dict[NodePort, OSError]:
        """Open what is new, close what is gone; the ports that could not be had, and why.

        Connections on a port that closes go on until they end.
        """
        for port in self._open.keys() - want.keys():
            self._open.pop(port).cancel()
        failed = {}
        for port in sorted(want.keys() - self._open.keys()):
            try:
                self._open[port] = await self._start(port)
            except OSError as error:
                failed[port] = error
        return failed

    async def _start(self, port: NodePort) -> asyncio.Task[None]:
        kind = socket.SOCK_STREAM if port.protocol == "TCP" else socket.SOCK_DGRAM
        listening = socket.socket(socket.AF_INET, kind)
        try:
            listening.setblocking(False)
            if port.protocol == "TCP":
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((self._address, port.port))
            if port.protocol == "TCP":
                listening.listen(BACKLOG)
        except OSError:
            listening.close()
            raise
        if port.protocol == "TCP":
            return self._group.create_task(self._accept(listening, port.port))
        loop = asyncio.get_running_loop()
        _, datagrams = await loop.create_datagram_endpoint(Datagrams, sock=listening)
        return self._group.create_task(datagrams.run(self._nodes, port.port))

    async def _accept(self, listening: socket.socket, port: int) -> None:
        loop = asyncio.get_running_loop()
        with listening:
            while True:
                try:
                    client, _ = await loop.sock_accept(listening)
                except OSError as error:  # out of descriptors: those in use will end
                    telemetry.logger().warning("connection not accepted", error=str(error))
                    await asyncio.sleep(RETRY_SECONDS / 10)
                    continue
                self._group.create_task(self._carry(client, port))

    async def _carry(self, client: socket.socket, port: int) -> None:
        try:
            await relay(client, self._nodes, port)
        except Exception as error:  # noqa: BLE001 - a bug ends one connection, not all
            telemetry.logger().error("connection failed", port=port, exc_info=error)
            client.close()


async def _run(config: Config, ready: process.Ready) -> None:
    clock = SystemClock()
    nodes = Nodes(config.ways, clock)
    try:
        async with open_channel(config.server) as channel, asyncio.TaskGroup() as group:
            objects = Objects(channel)
            services = Cache(objects, SERVICES, Service, clock=clock)
            recorder = Recorder(objects, clock, "publish")
            awake = asyncio.Event()
            services.on_change(lambda _old, _new: awake.set())
            group.create_task(services.run())
            group.create_task(recorder.run())
            ready.ready()
            await services.wait_synced()
            publisher = Publisher(config.address, nodes, group)
            told: set[NodePort] = set()
            while True:
                awake.clear()
                want = wanted(services.values())
                failed = await publisher.follow(want)
                for port in failed.keys() - told:
                    _tell(recorder, want[port], port, failed[port])
                told = set(failed)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(RETRY_SECONDS if failed else None):
                        await awake.wait()
    finally:
        nodes.close()


def _tell(recorder: Recorder, service: Service, port: NodePort, error: OSError) -> None:
    telemetry.logger().warning("port not published", port=port.port, error=str(error))
    metadata = service.metadata
    about = Reference("Service", metadata.namespace, metadata.name, metadata.uid)
    message = f"{port.protocol} port {port.port} can not be had on the host: {error.strerror}"
    recorder.note(about, "Warning", "PortNotPublished", message)


def main(argv: list[str]) -> int:
    """Publish until a signal; the exit code."""
    config = parse(argv)
    return process.run("publish", lambda ready: _run(config, ready))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
